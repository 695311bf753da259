// service/api_keys/sqlite.hpp - as much of SQLite as the store needs.
//
// Layer: service. Thread: one at a time. Blocks: on the disk, and on whoever has the lock.
#pragma once

#include <sqlite3.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <sluice/bytes.hpp>
#include <sluice/result.hpp>

namespace sluice::api_keys {

class Database {
 public:
  explicit Database(std::string file) : file_(std::move(file)) {}
  ~Database() { sqlite3_close_v2(handle_); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // The file must be there. Others are waited for `busy` long.
  Result<void> open(std::chrono::milliseconds busy);
  Result<void> exec(const char* sql);
  // The first column of the first row; 0 where there is none.
  Result<std::int64_t> number(const char* sql);
  // What a code of SQLite means: errors name the file and what to do.
  Error failure(int code) const;

  sqlite3* handle() const { return handle_; }
  const std::string& file() const { return file_; }

 private:
  std::string file_;
  sqlite3* handle_ = nullptr;
};

// A prepared statement, used again and again. Texts and bytes that are bound must live until the
// next reset.
class Statement {
 public:
  // Errors come with the first step.
  Statement(Database& database, const char* sql);

  void bind(int at, std::string_view text);
  void bind(int at, Bytes bytes);
  void bind(int at, std::int64_t number);
  void bind(int at, std::optional<std::int64_t> number);

  // SQLITE_ROW, SQLITE_DONE, or what went wrong.
  int step() { return prepared_ == SQLITE_OK ? sqlite3_step(statement_.get()) : prepared_; }
  // Steps to the end, and resets.
  Result<void> run();
  void reset();

  // Of the row; views live until the next step.
  std::string_view text(int column);
  Bytes bytes(int column);
  std::int64_t number(int column) { return sqlite3_column_int64(statement_.get(), column); }
  bool is_null(int column) { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int prepared_;
};

// Resets a statement when the scope ends, so that it holds no lock.
class Reset {
 public:
  explicit Reset(Statement& statement) : statement_(statement) {}
  ~Reset() { statement_.reset(); }
  Reset(const Reset&) = delete;
  Reset& operator=(const Reset&) = delete;

 private:
  Statement& statement_;
};

// Takes the lock for writing at once; what was not committed is undone.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) {}
  ~Transaction() {
    if (open_) (void)database_.exec("ROLLBACK");
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  Result<void> begin() {
    auto done = database_.exec("BEGIN IMMEDIATE");
    open_ = done.has_value();
    return done;
  }
  Result<void> commit() {
    auto done = database_.exec("COMMIT");
    open_ = !done;
    return done;
  }

 private:
  Database& database_;
  bool open_ = false;
};

}  // namespace sluice::api_keys
