// tests/service/key_step_test.cpp - what of a target a log may have.
#include "service/api_keys/key_step.hpp"

#include <gtest/gtest.h>

namespace sluice::api_keys {
namespace {

TEST(HideParameter, HidesEachValueHoweverItsNameIsWritten) {
  constexpr struct {
    const char *target, *shown;
  } cases[] = {
      {"", ""},
      {"/", "/"},
      {"/a?api_key=K", "/a?api_key=***"},
      {"/a?api_key=", "/a?api_key=***"},
      {"/a?api_key", "/a?api_key"},
      {"/a?x=1&api_key=K&y=2", "/a?x=1&api_key=***&y=2"},
      {"/a?api_key=K&api_key=L", "/a?api_key=***&api_key=***"},
      {"api_key=K&x", "api_key=***&x"},
      {"/a?%61pi%5Fkey=K", "/a?%61pi%5Fkey=***"},
      {"/a?api%5fkey=K", "/a?api%5fkey=***"},
      {"/a?api_key=K=L", "/a?api_key=***"},
      // What somebody may have meant as one, and what ends no value.
      {"/a?x;api_key=K", "/a?x;api_key=***"},
      {"/a?x?api_key=K", "/a?x?api_key=***"},
      {"/a#api_key=K", "/a#api_key=***"},
      {"/a?api_key=K;L?M#N&x", "/a?api_key=***&x"},
      // Other names.
      {"/a?api_keys=K", "/a?api_keys=K"},
      {"/a?xapi_key=K", "/a?xapi_key=K"},
      {"/a?API_KEY=K", "/a?API_KEY=K"},
      {"/a?api%255Fkey=K", "/a?api%255Fkey=K"},
      {"/a?api%5=K", "/a?api%5=K"},
      {"/a?=K&&", "/a?=K&&"},
  };
  for (const auto& each : cases) {
    EXPECT_EQ(hide_parameter(each.target, "api_key"), each.shown) << each.target;
  }
}

}  // namespace
}  // namespace sluice::api_keys
