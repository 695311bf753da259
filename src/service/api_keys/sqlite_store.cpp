// service/api_keys/sqlite_store.cpp - see sqlite_store.hpp.
//
// Layer: service.
#include "service/api_keys/sqlite_store.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "crypto/hmac.hpp"
#include "service/api_keys/sqlite.hpp"
#include "service/api_keys/store_files.hpp"

namespace sluice::api_keys {
namespace {

// Times are seconds since 1970; NULL is never.
constexpr const char* kMakeSchema = R"(
  CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
  CREATE TABLE keys (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    hash BLOB NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    owner TEXT NOT NULL,
    scopes TEXT NOT NULL,
    networks TEXT NOT NULL,
    rate_requests INTEGER NOT NULL,
    rate_seconds INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    revoked INTEGER,
    replaced_by TEXT NOT NULL,
    grace_until INTEGER,
    ends INTEGER
  ) STRICT;
  CREATE INDEX keys_by_end ON keys (ends) WHERE ends IS NOT NULL;
  CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    key TEXT NOT NULL,
    detail TEXT NOT NULL
  ) STRICT;
  PRAGMA application_id = 1397508913;
  PRAGMA user_version = 1;
)";
static_assert(SqliteStore::kApplicationId == 1397508913 && SqliteStore::kSchema == 1);

#define SLUICE_KEY_COLUMNS                                                                     \
  "id, hash, prefix, owner, scopes, networks, rate_requests, rate_seconds, created, expires, " \
  "revoked, replaced_by, grace_until"

std::optional<std::int64_t> seconds_of(Time time) {
  if (time == kNever) return std::nullopt;
  return time.time_since_epoch().count();
}

Time time_of(std::int64_t seconds) { return Time(std::chrono::seconds(seconds)); }

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : " ").append(word);
  return text;
}

std::string joined(const std::vector<Network>& networks) {
  std::vector<std::string> words;
  words.reserve(networks.size());
  for (const Network& network : networks) words.push_back(network.text());
  return joined(words);
}

template <class Take>
void each_word(std::string_view text, const Take& take) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    take(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// Answers the proof that a secret is this store's, which tells nothing of the secret.
KeyHash proof_of(const crypto::Secret& secret) {
  return crypto::hmac_sha256(as_bytes(secret.view()), as_bytes("sluice: this store's secret"));
}

}  // namespace

struct SqliteStore::Inside {
  Inside(const std::string& name, SqliteOptions set) : options(std::move(set)), database(name) {}

  Result<void> check_schema();
  Result<void> check_secret();
  Result<bool> make_room(Time now);
  Result<void> insert(const KeyRecord& key);
  Result<void> update(const KeyRecord& key);
  Result<void> note(const AuditEntry& entry);
  Result<KeyRecord> read(Statement& row);
  void bind(Statement& statement, const KeyRecord& key);

  const SqliteOptions options;
  Database database;
  FileId file;
  crypto::Secret secret;
  std::string scopes, networks;  // what is bound

  // Made when the schema is there.
  struct Statements {
    explicit Statements(Database& db)
        : data_version(db, "PRAGMA data_version"),
          every(db, "SELECT " SLUICE_KEY_COLUMNS " FROM keys ORDER BY number"),
          find(db, "SELECT " SLUICE_KEY_COLUMNS " FROM keys WHERE id = ?1"),
          insert(db, "INSERT INTO keys (" SLUICE_KEY_COLUMNS
                     ", ends) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, "
                     "?14)"),
          update(db,
                 "UPDATE keys SET hash = ?2, prefix = ?3, owner = ?4, scopes = ?5, networks = ?6, "
                 "rate_requests = ?7, rate_seconds = ?8, created = ?9, expires = ?10, revoked = "
                 "?11, replaced_by = ?12, grace_until = ?13, ends = ?14 WHERE id = ?1"),
          count(db, "SELECT count(*) FROM keys"),
          remove(db,
                 "DELETE FROM keys WHERE number IN (SELECT number FROM keys WHERE ends <= ?1 "
                 "ORDER BY ends LIMIT ?2)"),
          note(db,
               "INSERT INTO audit (time, actor, action, key, detail) VALUES (?1, ?2, ?3, ?4, ?5)"),
          forget(db, "DELETE FROM audit WHERE number <= last_insert_rowid() - ?1"),
          audit(db,
                "SELECT time, actor, action, key, detail FROM audit ORDER BY number DESC LIMIT "
                "?1") {}
    Statement data_version, every, find, insert, update, count, remove, note, forget, audit;
  };
  std::optional<Statements> use;
};

SqliteStore::SqliteStore(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
SqliteStore::~SqliteStore() = default;

// --- opening -------------------------------------------------------------------------------------

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& file,
                                                       SqliteOptions options) {
  if (options.secret_file.empty()) options.secret_file = file + ".secret";
  auto inside = std::make_unique<Inside>(file, std::move(options));
  const auto lock = lock_folder_of(file);
  if (!lock) return lock.error();
  const auto id = prepare_file(file, inside->options.create);
  if (!id) return id.error();
  inside->file = *id;
  Database& database = inside->database;
  if (auto done = database.open(inside->options.busy_timeout); !done) return done.error();
  for (const char* sql : {"PRAGMA trusted_schema = OFF", "PRAGMA synchronous = FULL"}) {
    if (auto done = database.exec(sql); !done) return done.error();
  }
  if (auto done = inside->check_schema(); !done) return done.error();
  // Only now: what is not ours is not changed.
  if (auto done = database.exec("PRAGMA journal_mode = WAL"); !done) return done.error();
  inside->use.emplace(database);
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(inside)));
}

Result<void> SqliteStore::Inside::check_schema() {
  const auto application = database.number("PRAGMA application_id");
  if (!application) return application.error();
  const auto schema = database.number("PRAGMA user_version");
  if (!schema) return schema.error();
  const auto tables = database.number("SELECT count(*) FROM sqlite_schema");
  if (!tables) return tables.error();
  if (*application == 0 && *schema == 0 && *tables == 0) {
    if (!options.create) {
      return Error(Errc::not_found, database.file() + ": there is no store of API keys in it");
    }
    Transaction change(database);
    if (auto done = change.begin(); !done) return done;
    if (auto done = database.exec(kMakeSchema); !done) return done;
    if (auto done = check_secret(); !done) return done;
    return change.commit();
  }
  if (*application != kApplicationId) {
    return Error(Errc::bad_setting,
                 database.file() + ": is no store of API keys; name another file");
  }
  if (*schema != kSchema) {
    return Error(Errc::bad_setting, database.file() +
                                        ": was made by a newer version of sluice, "
                                        "which must be used with it");
  }
  return check_secret();
}

Result<void> SqliteStore::Inside::check_secret() {
  KeyHash proof{};
  bool known = false;
  {
    Statement ask(database, "SELECT value FROM meta WHERE name = 'secret_proof'");
    const int code = ask.step();
    if (code != SQLITE_ROW && code != SQLITE_DONE) return database.failure(code);
    known = code == SQLITE_ROW;
    if (known) {
      const Bytes bytes = ask.bytes(0);
      std::memcpy(proof.data(), bytes.data(), std::min(bytes.size(), proof.size()));
    }
  }
  auto read = read_store_secret(options.secret_file);
  if (!read && read.error().code == Errc::not_found) {
    if (known) {
      return Error(Errc::not_found, options.secret_file + ": is missing; without it no key of " +
                                        database.file() +
                                        " can be verified: restore it from a backup");
    }
    read = make_store_secret(options.secret_file);
  }
  if (!read) return read.error();
  secret = std::move(*read);
  const KeyHash mine = proof_of(secret);
  if (known) {
    if (crypto::same_secret(Bytes(proof), Bytes(mine))) return {};
    return Error(Errc::bad_setting, options.secret_file + ": is not the secret of " +
                                        database.file() + "; restore the right one");
  }
  Statement put(database, "INSERT INTO meta (name, value) VALUES ('secret_proof', ?1)");
  put.bind(1, Bytes(mine));
  return put.run();
}

Result<crypto::Secret> SqliteStore::secret() { return crypto::Secret(inside_->secret.view()); }

// --- records and rows ----------------------------------------------------------------------------

void SqliteStore::Inside::bind(Statement& statement, const KeyRecord& key) {
  scopes = joined(key.scopes);
  networks = joined(key.networks);
  statement.bind(1, key.id);
  statement.bind(2, Bytes(key.hash));
  statement.bind(3, key.prefix);
  statement.bind(4, key.owner);
  statement.bind(5, scopes);
  statement.bind(6, networks);
  statement.bind(7, std::int64_t{key.rate.requests});
  statement.bind(8, std::int64_t{key.rate.period.count()});
  statement.bind(9, std::int64_t{key.created.time_since_epoch().count()});
  statement.bind(10, seconds_of(key.expires));
  statement.bind(11, seconds_of(key.revoked));
  statement.bind(12, key.replaced_by);
  statement.bind(13, seconds_of(key.grace_until));
  statement.bind(14, seconds_of(key.ends()));
}

Result<KeyRecord> SqliteStore::Inside::read(Statement& row) {
  KeyRecord key;
  key.id = row.text(0);
  const Bytes hash = row.bytes(1);
  bool good = hash.size() == key.hash.size();
  std::copy_n(hash.data(), good ? hash.size() : 0, key.hash.data());
  key.prefix = row.text(2);
  key.owner = row.text(3);
  each_word(row.text(4), [&key](std::string_view word) { key.scopes.emplace_back(word); });
  each_word(row.text(5), [&](std::string_view word) {
    const auto network = Network::parse(word);
    if (network) key.networks.push_back(*network);
    good = good && network;
  });
  const std::int64_t requests = row.number(6);
  good = good && requests >= 0 && requests <= kMostRateRequests;
  key.rate.requests = static_cast<std::uint32_t>(requests);
  key.rate.period = std::chrono::seconds(row.number(7));
  const auto time = [&row](int column) {
    return row.is_null(column) ? kNever : time_of(row.number(column));
  };
  key.created = time(8);
  key.expires = time(9);
  key.revoked = time(10);
  key.replaced_by = row.text(11);
  key.grace_until = time(12);
  if (!good || problem_of(key)) {
    return Error(Errc::io_failed, database.file() + ": the record of key \"" +
                                      key.id.substr(0, 32) +
                                      "\" is damaged; restore the file from a backup");
  }
  return key;
}

Result<std::vector<KeyRecord>> SqliteStore::all() {
  Statement& every = inside_->use->every;
  const Reset reset(every);
  std::vector<KeyRecord> keys;
  int code = every.step();
  for (; code == SQLITE_ROW; code = every.step()) {
    auto key = inside_->read(every);
    if (!key) return key.error();
    keys.push_back(std::move(*key));
  }
  if (code != SQLITE_DONE) return inside_->database.failure(code);
  return keys;
}

// --- changes -------------------------------------------------------------------------------------

Result<bool> SqliteStore::Inside::make_room(Time now) {
  {
    const Reset reset(use->count);
    if (const int code = use->count.step(); code != SQLITE_ROW) return database.failure(code);
    if (use->count.number(0) < static_cast<std::int64_t>(options.limits.keys)) return false;
  }
  use->remove.bind(1, std::int64_t{now.time_since_epoch().count()});
  use->remove.bind(2, static_cast<std::int64_t>(options.limits.keys / 16 + 1));
  if (auto done = use->remove.run(); !done) return done.error();
  if (sqlite3_changes(database.handle()) == 0) {
    return Error(Errc::too_many_keys, database.file() + ": all " +
                                          std::to_string(options.limits.keys) +
                                          " keys are in use; revoke some");
  }
  return true;
}

Result<void> SqliteStore::Inside::insert(const KeyRecord& key) {
  bind(use->insert, key);
  const Reset reset(use->insert);
  const int code = use->insert.step();
  if (code == SQLITE_DONE) return {};
  if ((code & 0xff) == SQLITE_CONSTRAINT) {
    return Error(Errc::invalid_argument, "there is a key with this id or this hash");
  }
  return database.failure(code);
}

Result<void> SqliteStore::Inside::update(const KeyRecord& key) {
  bind(use->update, key);
  return use->update.run();
}

Result<void> SqliteStore::Inside::note(const AuditEntry& entry) {
  use->note.bind(1, std::int64_t{entry.time.time_since_epoch().count()});
  use->note.bind(2, entry.actor);
  use->note.bind(3, entry.action);
  use->note.bind(4, entry.key);
  use->note.bind(5, entry.detail);
  if (auto done = use->note.run(); !done) return done;
  use->forget.bind(1, static_cast<std::int64_t>(options.limits.audit));
  return use->forget.run();
}

Result<bool> SqliteStore::add(const KeyRecord& key, const AuditEntry& entry) {
  Transaction change(inside_->database);
  if (auto done = change.begin(); !done) return done.error();
  auto room = inside_->make_room(entry.time);
  if (!room) return room;
  if (auto done = inside_->insert(key); !done) return done.error();
  if (auto done = inside_->note(entry); !done) return done.error();
  if (auto done = change.commit(); !done) return done.error();
  return room;
}

Result<Store::Edited> SqliteStore::edit(std::string_view id, const Edit& edit, AuditEntry entry) {
  Transaction change(inside_->database);
  if (auto done = change.begin(); !done) return done.error();
  Edited edited;
  {
    Statement& find = inside_->use->find;
    const Reset reset(find);
    find.bind(1, id);
    const int code = find.step();
    if (code == SQLITE_DONE) return Errc::no_such_key;
    if (code != SQLITE_ROW) return inside_->database.failure(code);
    auto key = inside_->read(find);
    if (!key) return key.error();
    edited.key = std::move(*key);
  }
  if (auto judged = edit(edited.key, edited.replacement); !judged) return judged.error();
  if (auto done = inside_->update(edited.key); !done) return done.error();
  if (edited.replacement) {
    entry.detail = edited.replacement->id;
    const auto room = inside_->make_room(entry.time);
    if (!room) return room.error();
    edited.made_room = *room;
    if (auto done = inside_->insert(*edited.replacement); !done) return done.error();
  }
  if (auto done = inside_->note(entry); !done) return done.error();
  if (auto done = change.commit(); !done) return done.error();
  return edited;
}

Result<std::vector<AuditEntry>> SqliteStore::audit(std::size_t most) {
  Statement& audit = inside_->use->audit;
  const Reset reset(audit);
  audit.bind(1, static_cast<std::int64_t>(std::min(most, inside_->options.limits.audit)));
  std::vector<AuditEntry> entries;
  int code = audit.step();
  for (; code == SQLITE_ROW; code = audit.step()) {
    entries.push_back({time_of(audit.number(0)), std::string(audit.text(1)),
                       std::string(audit.text(2)), std::string(audit.text(3)),
                       std::string(audit.text(4))});
  }
  if (code != SQLITE_DONE) return inside_->database.failure(code);
  return entries;
}

Result<std::uint64_t> SqliteStore::version() {
  const auto id = id_of(inside_->database.file());
  if (!id) return id.error();
  if (*id != inside_->file) {
    return Error(Errc::io_failed, inside_->database.file() +
                                      ": is another file than the one that was opened; restart");
  }
  Statement& ask = inside_->use->data_version;
  const Reset reset(ask);
  if (const int code = ask.step(); code != SQLITE_ROW) return inside_->database.failure(code);
  return static_cast<std::uint64_t>(ask.number(0));
}

}  // namespace sluice::api_keys
