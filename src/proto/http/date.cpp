// proto/http/date.cpp - reading and writing HTTP dates without the C library's locale or time zone.
//
// RFC 9110 section 5.6.7. Layer: proto. No I/O, no clock. Thread: any.
#include "proto/http/date.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "proto/http/token.hpp"

namespace sluice::http {
namespace {

constexpr std::int64_t kDay = 86400;
constexpr std::int64_t kFirst = -62167219200;  // 0000-01-01T00:00:00
constexpr std::int64_t kLast = 253402300799;   // 9999-12-31T23:59:59

constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
constexpr std::array<std::string_view, 7> kLongDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};

struct Civil {
  std::int64_t year = 0;
  unsigned month = 0, day = 0;  // from 1
};

// Days since 1970-01-01 in the Gregorian calendar. Years begin in March here, so that the leap day
// comes last; a 29th of February in another year is the 1st of March.
constexpr std::int64_t days_of(Civil c) {
  std::int64_t year = c.year - (c.month <= 2 ? 1 : 0);
  std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  auto of_era = static_cast<unsigned>(year - era * 400);
  unsigned of_year = (153 * (c.month > 2 ? c.month - 3 : c.month + 9) + 2) / 5 + c.day - 1;
  unsigned day = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
  return era * 146097 + std::int64_t{day} - 719468;
}

constexpr Civil civil_of(std::int64_t days) {
  days += 719468;
  std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  auto day = static_cast<unsigned>(days - era * 146097);
  unsigned of_era = (day - day / 1460 + day / 36524 - day / 146096) / 365;
  unsigned of_year = day - (365 * of_era + of_era / 4 - of_era / 100);
  unsigned month = (5 * of_year + 2) / 153;
  Civil c;
  c.day = of_year - (153 * month + 2) / 5 + 1;
  c.month = month < 10 ? month + 3 : month - 9;
  c.year = std::int64_t{of_era} + era * 400 + (c.month <= 2 ? 1 : 0);
  return c;
}

static_assert(days_of({1970, 1, 1}) == 0);
static_assert(days_of({0, 1, 1}) * kDay == kFirst && days_of({10000, 1, 1}) * kDay - 1 == kLast);

bool leap(std::int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

unsigned month_length(std::int64_t year, unsigned month) {
  if (month == 2) return leap(year) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

void write_two(char* out, unsigned number) {
  out[0] = static_cast<char>('0' + number / 10);
  out[1] = static_cast<char>('0' + number % 10);
}

// Takes a date apart from the left. After the first thing that does not fit, `ok` stays false.
struct DateText {
  std::string_view rest;
  bool ok = true;

  void literal(std::string_view text) {
    if (!rest.starts_with(text)) ok = false;
    if (ok) rest.remove_prefix(text.size());
  }
  // Exactly `digits` digits.
  unsigned number(std::size_t digits) {
    if (rest.size() < digits) ok = false;
    unsigned value = 0;
    for (std::size_t i = 0; ok && i < digits; ++i) {
      if (!is_digit(rest[i])) ok = false;
      value = value * 10 + static_cast<unsigned>(rest[i] - '0');
    }
    if (ok) rest.remove_prefix(digits);
    return ok ? value : 0;
  }
  // Place of the next three letters in `names`.
  unsigned name(std::string_view names) {
    if (rest.size() < 3) ok = false;
    for (std::size_t i = 0; ok && i < names.size(); i += 3) {
      if (rest.substr(0, 3) != names.substr(i, 3)) continue;
      rest.remove_prefix(3);
      return static_cast<unsigned>(i / 3);
    }
    ok = false;
    return 0;
  }
};

struct Moment {
  Civil date;
  unsigned hour = 0, minute = 0, second = 0;

  // A leap second (60) is the first second of the next minute.
  bool valid() const {
    return date.month >= 1 && date.month <= 12 && date.day >= 1 &&
           date.day <= month_length(date.year, date.month) && hour <= 23 && minute <= 59 &&
           second <= 60;
  }
  std::int64_t seconds() const {
    return days_of(date) * kDay + std::int64_t{hour * 3600 + minute * 60 + second};
  }
};

void read_clock_time(DateText& text, Moment& moment) {
  moment.hour = text.number(2);
  text.literal(":");
  moment.minute = text.number(2);
  text.literal(":");
  moment.second = text.number(2);
}

// "Sun, 06 Nov 1994 08:49:37 GMT"
bool read_imf_fixdate(DateText text, Moment& moment) {
  text.name(kDays);
  text.literal(", ");
  moment.date.day = text.number(2);
  text.literal(" ");
  moment.date.month = text.name(kMonths) + 1;
  text.literal(" ");
  moment.date.year = text.number(4);
  text.literal(" ");
  read_clock_time(text, moment);
  text.literal(" GMT");
  return text.ok && text.rest.empty();
}

// "Sunday, 06-Nov-94 08:49:37 GMT". The year comes out as it stands there.
bool read_rfc850(DateText text, Moment& moment) {
  text.ok = false;
  for (std::string_view day : kLongDays) {
    if (!text.rest.starts_with(day)) continue;
    text.rest.remove_prefix(day.size());
    text.ok = true;
    break;
  }
  text.literal(", ");
  moment.date.day = text.number(2);
  text.literal("-");
  moment.date.month = text.name(kMonths) + 1;
  text.literal("-");
  moment.date.year = text.number(2);
  text.literal(" ");
  read_clock_time(text, moment);
  text.literal(" GMT");
  return text.ok && text.rest.empty();
}

// "Sun Nov  6 08:49:37 1994"
bool read_asctime(DateText text, Moment& moment) {
  text.name(kDays);
  text.literal(" ");
  moment.date.month = text.name(kMonths) + 1;
  text.literal(" ");
  if (text.rest.starts_with(' ')) {
    text.literal(" ");
    moment.date.day = text.number(1);
  } else {
    moment.date.day = text.number(2);
  }
  text.literal(" ");
  read_clock_time(text, moment);
  text.literal(" ");
  moment.date.year = text.number(4);
  return text.ok && text.rest.empty();
}

// The latest year with these two last digits that is not more than 50 years ahead of `now`.
void set_century(Moment& moment, std::int64_t now) {
  now = std::clamp(now, kFirst, kLast);
  std::int64_t of_day = ((now % kDay) + kDay) % kDay;
  Civil limit = civil_of((now - of_day) / kDay);
  limit.year += 50;
  std::int64_t latest = days_of(limit) * kDay + of_day;
  moment.date.year += limit.year - limit.year % 100;
  if (moment.seconds() > latest) moment.date.year -= 100;
}

}  // namespace

void write_date(char* out, std::int64_t seconds) {
  seconds = std::clamp(seconds, kFirst, kLast);
  std::int64_t of_day = seconds % kDay;
  if (of_day < 0) of_day += kDay;
  const std::int64_t days = (seconds - of_day) / kDay;
  const Civil date = civil_of(days);
  const auto weekday = static_cast<std::size_t>(((days + 4) % 7 + 7) % 7);
  const auto clock = static_cast<unsigned>(of_day);
  const auto year = static_cast<unsigned>(date.year);
  std::memcpy(out, "Sun, 00 Jan 0000 00:00:00 GMT", kDateSize);
  std::memcpy(out, kDays.data() + weekday * 3, 3);
  write_two(out + 5, date.day);
  std::memcpy(out + 8, kMonths.data() + std::size_t{date.month - 1} * 3, 3);
  write_two(out + 12, year / 100);
  write_two(out + 14, year % 100);
  write_two(out + 17, clock / 3600);
  write_two(out + 20, clock / 60 % 60);
  write_two(out + 23, clock % 60);
}

std::optional<std::int64_t> read_date(std::string_view text, std::int64_t now) {
  Moment moment;
  if (text.size() == kDateSize && read_imf_fixdate({text}, moment)) {
    // The form that everybody sends.
  } else if (moment = {}; read_rfc850({text}, moment)) {
    set_century(moment, now);
  } else if (moment = {}; !read_asctime({text}, moment)) {
    return std::nullopt;
  }
  if (!moment.valid()) return std::nullopt;
  return moment.seconds();
}

}  // namespace sluice::http
