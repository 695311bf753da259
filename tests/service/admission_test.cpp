// tests/service/admission_test.cpp - steps are asked one after the other, each may take its time,
// and nothing of what they remember stays behind.
//
// Layer: tests.
#include "service/admission/admission.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/harness.hpp"
#include "core/step.hpp"

namespace sluice::service {
namespace {

using test::Bench;
using Verdict = core::Gate::Verdict;

class Port final : public core::ExchangePort {
 public:
  int status = 0, decisions = 0;
  void respond(core::Exchange& exchange) override {
    status = exchange.answer.status;
    exchange.port = nullptr;
  }
  void decided(core::Exchange&) override { ++decisions; }
  void begin_stream(core::Exchange&) override {}
  bool write_stream(core::Exchange&, Bytes) override { return true; }
  void end_stream(core::Exchange&, std::string_view) override {}
  void break_off(core::Exchange&, const Error&) override {}
  void pause_body(core::Exchange&) override {}
  void resume_body(core::Exchange&) override {}
  void upgrade(core::Exchange&, std::string_view, core::StreamPtr) override {}
};

// Says what it is told to say, and writes down that it was asked.
class Step final : public AdmissionStep {
 public:
  Step(std::string name, std::vector<std::string>& told) : name_(std::move(name)), told_(told) {}

  Verdict verdict = Verdict::pass;

  void on_path(core::Exchange&) override { told_.push_back(name_ + " path"); }
  Verdict check(core::Exchange& exchange) override {
    told_.push_back(name_);
    EXPECT_EQ(state(exchange), nullptr);
    if (verdict == Verdict::later) {
      set_state(exchange, std::make_unique<State>(*this));
      exchange.retain();
    }
    if (verdict == Verdict::answered) {
      exchange.shard.session.respond_error(exchange, Errc::auth_required);
    }
    return verdict;
  }
  void stop() override { told_.push_back(name_ + " stop"); }
  std::string shown(std::string_view target) const override { return std::string(target) + name_; }
  void let_pass(core::Exchange& exchange) {
    core::step(exchange, [&] {
      EXPECT_NE(state(exchange), nullptr);
      pass(exchange);
      exchange.release();
    });
  }

 private:
  struct State final : core::GateState {
    explicit State(Step& step) : owner(step) {}
    ~State() override { owner.told_.push_back(owner.name_ + " forgotten"); }
    void given_up(core::Exchange& exchange) override {
      owner.told_.push_back(owner.name_ + " given up");
      exchange.release();
    }
    Step& owner;
  };
  const std::string name_;
  std::vector<std::string>& told_;
};

class AdmissionTest : public testing::Test {
 protected:
  AdmissionTest() {
    for (const char* name : {"a", "b", "c"}) {
      auto step = std::make_unique<Step>(name, told);
      steps.push_back(step.get());
      admission.add(std::move(step));
    }
    bench.shard->set_gate(core::keep(kept));
    exchange->port = &port;
    exchange->connection = &bench.connection();
    exchange->connection->retain();
    exchange->head.method = http::Method::get;
    exchange->head.method_text = "GET";
    exchange->head.target = exchange->head.path = "/x";
    exchange->body_complete = true;
  }
  core::BodyPlan::Kind begin() { return bench.session.on_head(*exchange).kind; }
  // What was told since the last time.
  std::vector<std::string> news() { return std::exchange(told, {}); }

  using Told = std::vector<std::string>;
  Told told;
  const std::shared_ptr<Admission> kept = std::make_shared<Admission>();
  Admission& admission = *kept;
  std::vector<Step*> steps;
  Bench bench;
  Port port;
  core::Exchange* exchange = bench.shard->take_exchange();
};

TEST_F(AdmissionTest, AsksInOrder) {
  EXPECT_EQ(begin(), core::BodyPlan::Kind::read);
  EXPECT_EQ(news(), (Told{"a path", "b path", "c path", "a", "b", "c"}));
  EXPECT_EQ(admission.shown("/"), "/abc");
  admission.stop();
  EXPECT_EQ(news(), (Told{"a stop", "b stop", "c stop"}));
  exchange->release();
}

TEST_F(AdmissionTest, EndsWithTheFirstAnswer) {
  steps[1]->verdict = Verdict::answered;
  EXPECT_EQ(begin(), core::BodyPlan::Kind::answered);
  EXPECT_EQ(news(), (Told{"a path", "b path", "c path", "a", "b"}));
  EXPECT_EQ(port.status, 401);
  exchange->release();
}

TEST_F(AdmissionTest, GoesOnWhereAStepTookItsTime) {
  steps[0]->verdict = steps[2]->verdict = Verdict::later;
  EXPECT_EQ(begin(), core::BodyPlan::Kind::later);
  EXPECT_EQ(news(), (Told{"a path", "b path", "c path", "a"}));
  steps[0]->let_pass(*exchange);
  EXPECT_EQ(news(), (Told{"b", "c"}));
  EXPECT_EQ(port.decisions, 0);
  steps[2]->let_pass(*exchange);
  EXPECT_EQ(port.decisions, 1);
  EXPECT_FALSE(exchange->undecided);
  EXPECT_EQ(news(), Told{});
  exchange->release();
  EXPECT_EQ(news(), (Told{"c forgotten", "a forgotten"}));
}

TEST_F(AdmissionTest, AnswersLater) {
  steps[0]->verdict = Verdict::later;
  steps[1]->verdict = Verdict::answered;
  EXPECT_EQ(begin(), core::BodyPlan::Kind::later);
  steps[0]->let_pass(*exchange);
  EXPECT_EQ(port.status, 401);
  EXPECT_EQ(port.decisions, 0);
  exchange->release();
}

TEST_F(AdmissionTest, TellsWhoWaitsThatNobodyDoes) {
  steps[1]->verdict = Verdict::later;
  EXPECT_EQ(begin(), core::BodyPlan::Kind::later);
  news();
  exchange->retain();
  bench.session.on_abort(*exchange);
  EXPECT_EQ(news(), Told{"b given up"});
  exchange->release();
  exchange->release();
  EXPECT_EQ(news(), Told{"b forgotten"});
}

TEST_F(AdmissionTest, EndsWithItsTimeInTheQueue) {
  steps[1]->verdict = Verdict::later;
  EXPECT_EQ(begin(), core::BodyPlan::Kind::later);
  news();
  bench.session.on_queue_timeout(*exchange);
  EXPECT_EQ(port.status, 503);
  EXPECT_EQ(news(), Told{"b given up"});
  exchange->release();
}

}  // namespace
}  // namespace sluice::service
