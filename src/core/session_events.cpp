// core/session_events.cpp - what the application is told of rejects, failures and sends.
#include "core/session.hpp"

#include <new>
#include <utility>

#include "core/connection.hpp"

namespace sluice::core {

void ServerSession::reject(Connection* connection, const Error& why, Shard& shard) {
  shard.counters.rejected.add();
  const ErrorInfo& row = info(why.code);
  if (events.on_log) log(LogLevel::info, why.code, std::string(row.reason) + ": " + why.message());
  if (connection) failed_event(*connection, why);
}

void ServerSession::ended_silent(Connection& connection, const Error& why) {
  if (events.on_log) {
    log(LogLevel::info, why.code, std::string(info(why.code).reason) + ": " + why.message());
  }
  failed_event(connection, why);
}

void ServerSession::failed_event(Connection& connection, const Error& why) {
  if (!events.on_error) return;
  if (!dispatcher.uses_pool()) {
    dispatcher.call(connection, "on_error", [&] { events.on_error(connection.handle(), why); });
    return;
  }
  PoolQueue::Event event;
  connection.retain();
  event.work = [this, &connection, why] {
    dispatcher.call(connection, "on_error", [&] { events.on_error(connection.handle(), why); });
  };
  event.done = [&connection] { connection.release(); };
  if (!dispatcher.submit(connection, std::move(event))) connection.release();
}

void ServerSession::sent_event(Connection& connection, const SendResult& result) {
  if (!events.on_asynchronous) return;
  if (!dispatcher.uses_pool()) {
    dispatcher.call(connection, "on_asynchronous",
                    [&] { events.on_asynchronous(connection.handle(), result); });
    return;
  }
  PoolQueue::Event event;
  event.work = [this, &connection, result] {
    dispatcher.call(connection, "on_asynchronous",
                    [&] { events.on_asynchronous(connection.handle(), result); });
  };
  event.done = [&connection] { connection.release(); };
  connection.retain();
  dispatcher.submit(connection, std::move(event));
}

void ServerSession::threw(Connection& connection, const std::exception_ptr& what) {
  try {
    std::string text = "a handler threw an exception";
    try {
      std::rethrow_exception(what);
    } catch (const std::exception& error) {
      text.append(": ").append(error.what());
    } catch (...) {
    }
    log(LogLevel::error, Errc::handler_threw, text);
  } catch (const std::bad_alloc&) {
    log(LogLevel::error, Errc::handler_threw, "a handler threw an exception");
  }
  if (!events.on_exception) return;
  try {
    events.on_exception(connection.handle(), what);
  } catch (...) {
    log(LogLevel::error, Errc::handler_threw, "on_exception threw an exception itself");
  }
}

void ServerSession::log(LogLevel level, Errc code, std::string_view message) const {
  if (events.on_log) events.on_log(level, code, message);
}

}  // namespace sluice::core
