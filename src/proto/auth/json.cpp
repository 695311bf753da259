// proto/auth/json.cpp - nlohmann's parser, told what to do with each value.
//
// RFC 8259. The parser keeps a bit for each level and does not recurse; the tree is ours and as
// deep as the limit says. Layer: proto. No I/O. Thread: any.
#include "proto/auth/json.hpp"

#include <algorithm>
#include <limits>
#include <new>
#include <nlohmann/json.hpp>
#include <utility>

namespace sluice::auth {
namespace {

using Parser = nlohmann::json;

// Each event answers whether to go on.
class Builder final : public nlohmann::json_sax<Parser> {
 public:
  explicit Builder(const JsonLimits& limits) : limits_(limits) {}

  Json take() { return std::move(root_); }

  bool null() override { return add({}) != nullptr; }
  bool boolean(bool value) override {
    return add({.kind = Json::Kind::boolean, .boolean = value}) != nullptr;
  }
  bool number_integer(number_integer_t value) override {
    return add({.kind = Json::Kind::integer, .integer = value}) != nullptr;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return number_float(static_cast<double>(value), {});
    }
    return number_integer(static_cast<std::int64_t>(value));
  }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return add({.kind = Json::Kind::real, .real = value}) != nullptr;
  }
  bool string(string_t& value) override {
    return add({.kind = Json::Kind::text, .text = std::move(value)}) != nullptr;
  }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return open(Json::Kind::object); }
  bool start_array(std::size_t /*size*/) override { return open(Json::Kind::array); }
  bool key(string_t& name) override {
    std::vector<std::string>& names = open_.back()->names;
    if (std::find(names.begin(), names.end(), name) != names.end()) return false;
    names.push_back(std::move(name));
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                   const Parser::exception& /*error*/) override {
    return false;
  }

 private:
  // Null: too many.
  Json* add(Json value) {
    if (++values_ > limits_.values) return nullptr;
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    // What is open is the last item of what is open around it: growing moves none of them.
    return &open_.back()->items.emplace_back(std::move(value));
  }
  bool open(Json::Kind kind) {
    if (open_.size() == limits_.depth) return false;
    Json* const added = add({.kind = kind});
    if (added == nullptr) return false;
    open_.push_back(added);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const JsonLimits& limits_;
  Json root_;
  std::vector<Json*> open_;
  std::size_t values_ = 0;
};

}  // namespace

const Json* Json::find(std::string_view name) const {
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? nullptr : &items[static_cast<std::size_t>(found - names.begin())];
}

const std::string* Json::find_text(std::string_view name) const {
  const Json* const found = find(name);
  return found != nullptr && found->kind == Kind::text ? &found->text : nullptr;
}

std::optional<Json> read_json_object(std::string_view text, const JsonLimits& limits) noexcept {
  // The parser passes over a byte order mark, and takes a NUL for the end.
  if (text.size() > limits.bytes || text.starts_with("\xef\xbb\xbf") ||
      text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  try {
    Builder builder(limits);
    if (!Parser::sax_parse(text.begin(), text.end(), &builder)) return std::nullopt;
    Json root = builder.take();
    if (root.kind != Json::Kind::object) return std::nullopt;
    return root;
  } catch (const std::exception&) {  // no memory
    return std::nullopt;
  }
}

}  // namespace sluice::auth
