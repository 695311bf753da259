// config/read.cpp - see read.hpp.
//
// Layer: config.
#include "config/read.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <tuple>
#include <utility>

#include "config/lines.hpp"
#include "config/nearest.hpp"
#include "config/setter.hpp"
#include "config/whole.hpp"

namespace sluice::config {
namespace {

constexpr std::size_t kMostElsewhere = 3;  // tables that are told to have a key

template <class Visit>
void for_each_list(Visit visit) {
  std::apply([&visit](const auto&... list) { (visit(list), ...); }, lists());
}

bool is_table(std::string_view name) {
  return std::find(tables().begin(), tables().end(), name) != tables().end();
}

// A key as it is written below the table, or empty: authentication.basic is basic below
// authentication.
std::string_view below(std::string_view table, std::string_view whole) {
  if (table.empty()) return whole.substr(0, whole.find('.'));
  if (!whole.starts_with(table) || whole.substr(table.size(), 1) != ".") return {};
  whole.remove_prefix(table.size() + 1);
  return whole.substr(0, whole.find('.'));
}

// Why `name` is not in `table`, and what may have been meant.
std::string unknown(std::string_view table, std::string_view name) {
  std::vector<std::string_view> near;
  std::vector<std::string> elsewhere;
  bool is_in_front = false;
  const auto consider = [&](std::string_view its_table, std::string_view its_name, bool is_list) {
    if (its_table == table) near.push_back(its_name);
    if (its_table == table || its_name != name) return;
    if (its_table.empty()) is_in_front = true;
    std::string shown = "[" + std::string(its_table) + "]";
    elsewhere.push_back(is_list ? "[" + shown + "]" : std::move(shown));
  };
  for (const auto& row : rows()) consider(row.table, row.name, false);
  const auto add_near = [&](std::string_view word) {
    if (!word.empty()) near.push_back(word);
  };
  for (const std::string_view other : tables()) add_near(below(table, other));
  for_each_list([&](const auto& list) {
    add_near(below(table, list.key));
    for (const auto& row : list.rows()) consider(row.table, row.name, true);
  });

  const std::string what = "unknown key; ";
  if (is_in_front) return what + "it belongs to the front of the file, before the first table";
  const std::string_view meant = nearest(name, near);
  const auto did_you_mean = [&] { return what + "did you mean " + std::string(meant) + "?"; };
  // A word of many tables says little about which was meant.
  if (elsewhere.size() > kMostElsewhere && !meant.empty()) return did_you_mean();
  if (!elsewhere.empty() && elsewhere.size() <= kMostElsewhere) {
    std::string list;
    for (std::size_t i = 0; i < elsewhere.size(); ++i) {
      if (i > 0) list += i + 1 == elsewhere.size() ? " or " : ", ";
      list += elsewhere[i];
    }
    return what + "it belongs to " + list;
  }
  if (!meant.empty()) return did_you_mean();
  if (!elsewhere.empty() && table.empty()) {
    return what + "it belongs below the line of a table, such as " + elsewhere.front();
  }
  return what + "remove it (man sluice.toml lists all keys)";
}

class Reader {
 public:
  Reader(Reading& reading, Mistakes& mistakes)
      : configuration_(reading.configuration), places_(reading.places), mistakes_(mistakes) {}

  void read(const toml::table& root) { read_table("", root); }

 private:
  void read_table(const std::string& table, const toml::table& node) {
    for (const auto& [key, value] : node) {
      const std::string whole = table + (table.empty() ? "" : ".") + std::string(key.str());
      bool is_list = false;
      for_each_list([&, found = &value](const auto& list) {
        if (list.key != whole) return;
        is_list = true;
        read_list(list, *found);
      });
      if (is_list) continue;
      if (!is_table(whole)) {
        set(rows(), table, key, value, configuration_, table);
        continue;
      }
      places_.emplace(whole, place_of(value));
      if (const toml::table* const inner = value.as_table()) {
        read_table(whole, *inner);
      } else {
        mistakes_.add(place_of(value), whole,
                      "is " + kind_of(value) + "; it is a table: write its keys below a line [" +
                          whole + "]");
      }
    }
  }

  // What a list of tables should look like.
  template <class Entry>
  static std::string form(const Entries<Entry>& list) {
    std::string begin =
        "begin each " + std::string(list.what) + " with a line [[" + std::string(list.key) + "]]";
    if (!list.takes_text) return begin;
    return "write a list in brackets, such as [\"" + std::string(list.value) + "\"], or " + begin;
  }

  template <class Entry>
  void read_list(const Entries<Entry>& list, const toml::node& node) {
    const std::string key(list.key);
    places_.emplace(key, place_of(node));
    const toml::array* const array = node.as_array();
    if (array == nullptr) {
      mistakes_.add(place_of(node), key, "is " + kind_of(node) + "; " + form(list));
      return;
    }
    if (array->size() > list.most) {
      mistakes_.add(place_of(node), key,
                    "there are " + std::to_string(array->size()) + " " + std::string(list.many) +
                        "; write at most " + std::to_string(list.most));
      return;
    }
    for (const toml::node& entry : *array) read_entry(list, entry);
  }

  template <class Entry>
  void read_entry(const Entries<Entry>& list, const toml::node& node) {
    std::vector<Entry>& all = list.at(configuration_);
    const std::string name = std::string(list.key) + "[" + std::to_string(all.size()) + "]";
    places_.emplace(name, place_of(node));
    Entry& entry = all.emplace_back();
    if (list.takes_text && node.is_string()) {
      const auto needed = std::find_if(list.rows().begin(), list.rows().end(),
                                       [&](const auto& row) { return row.name == list.needed; });
      std::visit(Setter<Entry>(entry, node, name, mistakes_), needed->kind);
    } else if (const toml::table* const table = node.as_table()) {
      for (const auto& [key, value] : *table) {
        set(list.rows(), list.key, key, value, entry, name);
      }
      const bool has_other = !list.instead.empty() && table->contains(list.instead);
      if (!table->contains(list.needed) && !has_other) {
        const std::string needed(list.needed);
        mistakes_.add(
            place_of(node), name,
            "has no " + needed + "; write " + needed + " = \"" + std::string(list.value) + "\"");
      }
    } else {
      mistakes_.add(place_of(node), name, "is " + kind_of(node) + "; " + form(list));
      return;
    }
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
      if (!list.is_same(all[i], entry)) continue;
      mistakes_.add(place_of(node), name,
                    "has the " + std::string(list.unique) + " of " + std::string(list.key) + "[" +
                        std::to_string(i) + "]; write another one, or remove one of the two");
      break;
    }
  }

  // `in`: the table, or the entry of a list, as it is shown.
  template <class Object>
  void set(std::span<const Row<Object>> all, std::string_view table, const toml::key& key,
           const toml::node& node, Object& object, const std::string& in) {
    const std::string_view name = key.str();
    const auto row = std::find_if(all.begin(), all.end(), [&](const Row<Object>& one) {
      return one.table == table && one.name == name;
    });
    std::string shown = in + (in.empty() ? "" : ".") + std::string(name.substr(0, kMostQuoted));
    if (row == all.end()) {
      mistakes_.add(place_of(key.source().begin), std::move(shown), unknown(table, name));
      return;
    }
    places_.emplace(shown, place_of(node));
    std::visit(Setter<Object>(object, node, std::move(shown), mistakes_), row->kind);
  }

  Configuration& configuration_;
  Places& places_;
  Mistakes& mistakes_;
};

// toml++'s words begin with what it was doing.
std::string words(const toml::parse_error& error) {
  std::string_view description = error.description();
  constexpr std::string_view kFront = "Error while parsing ";
  if (description.starts_with(kFront)) description.remove_prefix(kFront.size());
  return "this is no TOML (" + std::string(description) +
         "); correct it, and what follows is read too";
}

}  // namespace

std::string text(const Mistake& mistake, std::string_view file) {
  std::string line(file);
  if (mistake.line > 0) {
    line += ":" + std::to_string(mistake.line) + ":" + std::to_string(mistake.column);
  }
  return line + ": " + mistake.key + (mistake.key.empty() ? "" : ": ") + mistake.what;
}

Reading read(std::string_view toml) {
  Reading reading;
  Mistakes mistakes;
  Lines lines(toml);
  for (std::size_t i = 0; i <= kMostMistakes; ++i) {
    const toml::parse_result parsed = toml::parse(lines.text());
    if (parsed) {
      Reader(reading, mistakes).read(parsed.table());
      if (mistakes.empty()) look_at_the_whole(reading, mistakes);
      break;
    }
    const toml::parse_error& error = parsed.error();
    const toml::source_position& at = error.source().begin;
    if (forget_duplicate(at.line, error.description(), lines, mistakes)) continue;
    mistakes.add(place_of(at), {}, words(error));
    break;
  }
  std::move(mistakes).tell(reading);
  return reading;
}

namespace {

// What others can read is no secret.
void look_at_the_secret(Reading& reading, int file, const std::string& path) {
  constexpr std::string_view kKey = "authentication.bearer.secret";
  struct stat status {};
  if (reading.configuration.server.authentication.bearer.secret.empty()) return;
  if (::fstat(file, &status) != 0 || (status.st_mode & 077) == 0) return;
  Mistakes mistakes;
  mistakes.add(reading.places.find(kKey)->second, std::string(kKey),
               "others can read this file; chmod 600 " + path + ", or name a file in secret_file");
  if (reading.is_good()) std::move(mistakes).tell(reading);
}

}  // namespace

Result<Reading> read_file(const std::string& path) {
  const auto failed = [&path](int error) {
    const Errc code = error == ENOENT   ? Errc::not_found
                      : error == EACCES ? Errc::permission_denied
                                        : Errc::io_failed;
    return Error(code, path + " cannot be read: " + std::strerror(error));
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             std::fclose);
  if (!file) return failed(errno);
  std::string toml(kMostFileBytes + 1, '\0');
  errno = 0;
  toml.resize(std::fread(toml.data(), 1, toml.size(), file.get()));
  if (std::ferror(file.get()) != 0) return failed(errno);
  if (toml.size() > kMostFileBytes) {
    return Error(Errc::io_failed, path + " is larger than 1 MiB: no configuration is");
  }
  Reading reading = read(toml);
  look_at_the_secret(reading, fileno(file.get()), path);
  return reading;
}

}  // namespace sluice::config
