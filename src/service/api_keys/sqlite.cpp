// service/api_keys/sqlite.cpp - see sqlite.hpp.
//
// Layer: service.
#include "service/api_keys/sqlite.hpp"

namespace sluice::api_keys {

Result<void> Database::open(std::chrono::milliseconds busy) {
  const int opened =
      sqlite3_open_v2(file_.c_str(), &handle_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  if (opened != SQLITE_OK) return failure(opened);
  sqlite3_busy_timeout(handle_, static_cast<int>(busy.count()));
  return {};
}

Result<void> Database::exec(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failure(code);
  return {};
}

Result<std::int64_t> Database::number(const char* sql) {
  Statement statement(*this, sql);
  const int code = statement.step();
  if (code == SQLITE_ROW) return statement.number(0);
  if (code == SQLITE_DONE) return std::int64_t{0};
  return failure(code);
}

Error Database::failure(int code) const {
  std::string words = file_ + ": ";
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Errc::timed_out, words + "another process holds it; try again"};
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return {Errc::permission_denied,
              words +
                  "cannot be opened for writing; this user must own the file and may write to "
                  "its folder"};
    case SQLITE_NOTADB:
      return {Errc::bad_setting, words + "is no store of API keys; name another file"};
    case SQLITE_CORRUPT:
      return {Errc::io_failed, words + "is damaged; restore it from a backup"};
    case SQLITE_FULL:
      return {Errc::io_failed, words + "the disk is full; make room"};
    case SQLITE_NOMEM:
      return Errc::out_of_memory;
    default:
      return {Errc::io_failed,
              words + (handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code))};
  }
}

Statement::Statement(Database& database, const char* sql) : database_(database) {
  sqlite3_stmt* made = nullptr;
  prepared_ =
      sqlite3_prepare_v3(database.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr);
  statement_.reset(made);
}

void Statement::bind(int at, std::string_view text) {
  sqlite3_bind_text(statement_.get(), at, text.empty() ? "" : text.data(),
                    static_cast<int>(text.size()), SQLITE_STATIC);
}

void Statement::bind(int at, Bytes bytes) {
  sqlite3_bind_blob(statement_.get(), at, bytes.data(), static_cast<int>(bytes.size()),
                    SQLITE_STATIC);
}

void Statement::bind(int at, std::int64_t number) {
  sqlite3_bind_int64(statement_.get(), at, number);
}

void Statement::bind(int at, std::optional<std::int64_t> number) {
  if (number) return bind(at, *number);
  sqlite3_bind_null(statement_.get(), at);
}

Result<void> Statement::run() {
  const Reset reset(*this);
  int code = step();
  while (code == SQLITE_ROW) code = step();
  if (code != SQLITE_DONE) return database_.failure(code);
  return {};
}

void Statement::reset() {
  if (!statement_) return;
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

std::string_view Statement::text(int column) {
  const auto* const text =
      reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (text == nullptr) return {};
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

Bytes Statement::bytes(int column) {
  const void* const bytes = sqlite3_column_blob(statement_.get(), column);
  if (bytes == nullptr) return {};
  return {static_cast<const std::byte*>(bytes),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

}  // namespace sluice::api_keys
