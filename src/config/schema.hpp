// config/schema.hpp - every key of the configuration file: its table, its kind, its bounds and the
// member it sets.
//
// One row for each key; reading, suggestions and tests go through the rows. Layer: config.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "config/configuration.hpp"

namespace sluice::config {

// What is wrong with a text, and what to write; empty when nothing is.
using TextCheck = std::string (*)(std::string_view text);

// The kinds. `at` leads to the member in an object. Where `absent` is a word, the member may be
// without a value, and that is how it is written.
template <class Object>
struct Flag {
  bool& (*at)(Object&);
};

template <class Object>
struct Number {
  std::uint64_t least = 0, most = 0;
  bool is_size = false;  // "64KiB" may be written
  std::string_view absent = {};
  std::optional<std::uint64_t> (*get)(Object&) = nullptr;
  void (*set)(Object&, std::optional<std::uint64_t>) = nullptr;
};

template <class Object>
struct Time {
  // No timer of ours is longer than a month.
  static constexpr std::chrono::milliseconds kMost = std::chrono::hours(720);
  std::chrono::milliseconds least{0}, most = kMost;
  std::chrono::milliseconds step{1};  // what the member counts in
  std::string_view absent = {};
  std::optional<std::chrono::milliseconds> (*get)(Object&) = nullptr;
  void (*set)(Object&, std::optional<std::chrono::milliseconds>) = nullptr;
};

template <class Object>
struct Text {
  std::string& (*at)(Object&);
  TextCheck check;
  bool is_secret = false;  // never shown
};

template <class Object>
struct List {
  static constexpr std::size_t kMostEntries = 256;
  std::vector<std::string> (*get)(Object&);
  void (*set)(Object&, std::vector<std::string>&&);
  TextCheck check;
  std::span<const std::string_view> words = {};  // no others, if there are any
};

template <class Object>
struct Choice {
  std::span<const std::string_view> words;  // in the order of the enumeration
  std::size_t (*get)(Object&);
  void (*set)(Object&, std::size_t index);
};

template <class Object>
struct Row {
  using Kind = std::variant<Flag<Object>, Number<Object>, Time<Object>, Text<Object>, List<Object>,
                            Choice<Object>>;
  std::string_view table;  // empty: the keys in front of the first table
  std::string_view name;
  Kind kind;

  // As it is shown: limits.head_bytes.
  std::string key() const;
};

// All keys but those of the lists of tables.
std::span<const Row<Configuration>> rows();

// The tables of rows(): limits, authentication, authentication.basic, ...
std::span<const std::string_view> tables();

// A list of tables, such as [[files]].
template <class Entry>
struct Entries {
  std::string_view key;   // files; api_keys.paths
  std::string_view what;  // one of them is, for a reader: a folder
  std::string_view many;
  std::size_t most = 0;
  std::string_view needed;        // the key that each must have,
  std::string_view instead = {};  // or this one
  std::string_view value;         // of it, as an example
  bool takes_text = false;        // a string alone is that key
  // The key by which two are the same, which they must not be.
  std::string_view unique;
  bool (*is_same)(const Entry&, const Entry&) = nullptr;
  std::vector<Entry>& (*at)(Configuration&) = nullptr;
  std::span<const Row<Entry>> (*rows)() = nullptr;
};

using Lists = std::tuple<Entries<Binding>, Entries<SslCertificate>, Entries<NamedUrlGroup>,
                         Entries<RateRule>, Entries<CacheRule>, Entries<ApiKeyPath>,
                         Entries<FilesRoot>, Entries<ForwardRoot>, Entries<UploadRoot>>;
const Lists& lists();

// The keys of one [[files]], of one of `bindings`, and so on; their table is that of the list.
std::span<const Row<Binding>> binding_rows();
std::span<const Row<SslCertificate>> certificate_rows();
std::span<const Row<NamedUrlGroup>> url_group_rows();
std::span<const Row<RateRule>> rate_limit_rows();
std::span<const Row<CacheRule>> cache_rows();
std::span<const Row<ApiKeyPath>> api_key_path_rows();
std::span<const Row<FilesRoot>> files_rows();
std::span<const Row<ForwardRoot>> forward_rows();
std::span<const Row<UploadRoot>> upload_rows();

// As they are written.
inline constexpr std::string_view kTlsVersions[] = {"1.2", "1.3"};
inline constexpr std::string_view kClientCertificates[] = {"none", "optional", "required"};
inline constexpr std::string_view kExistingFiles[] = {"number", "replace", "refuse"};

// The value that `object` has for a row, as it would be written into the file.
template <class Object>
std::string value_text(const Row<Object>& row, Object object);

}  // namespace sluice::config
