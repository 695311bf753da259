// api/authentication.cpp - bodies of sluice/authentication.hpp.
#include <sluice/authentication.hpp>

#include <utility>

#include "api/user_lists.hpp"

namespace sluice {

std::string_view to_string(AuthenticationScheme scheme) {
  switch (scheme) {
    case AuthenticationScheme::none:
      return "none";
    case AuthenticationScheme::bearer:
      return "bearer";
    case AuthenticationScheme::basic:
      return "basic";
    case AuthenticationScheme::digest:
      return "digest";
    case AuthenticationScheme::session:
      return "session";
    case AuthenticationScheme::url:
      return "url";
  }
  return {};
}

UserList::UserList() : shared_(std::make_shared<Shared>()) {}
Result<void> UserList::add(std::string_view name, std::string_view hash) {
  return shared_->get()->add(name, hash);
}
bool UserList::remove(std::string_view name) { return shared_->get()->remove(name); }
Result<void> UserList::load(const std::string& file) { return shared_->get()->load(file); }
void UserList::assign(const UserList& other) {
  if (shared_ != other.shared_) shared_->get()->assign(*other.shared_->get());
}
std::size_t UserList::size() const { return shared_->get()->size(); }

std::shared_ptr<service::Users> UserList::Shared::get() {
  std::call_once(once_, [this] { users_ = std::make_shared<service::Users>(); });
  return users_;
}

DigestUserList::DigestUserList() : shared_(std::make_shared<Shared>()) {}
Result<void> DigestUserList::add(std::string_view name, std::string_view realm,
                                 std::string_view algorithm, std::string_view ha1) {
  return shared_->users->add(name, realm, algorithm, ha1);
}
bool DigestUserList::remove(std::string_view name, std::string_view realm,
                            std::string_view algorithm) {
  return shared_->users->remove(name, realm, algorithm);
}
Result<void> DigestUserList::load(const std::string& file) { return shared_->users->load(file); }
void DigestUserList::assign(const DigestUserList& other) {
  if (shared_ != other.shared_) shared_->users->assign(*other.shared_->users);
}
std::size_t DigestUserList::size() const { return shared_->users->size(); }

AuthenticationReply::AuthenticationReply(AuthenticationReply&& other) noexcept
    : known_(other.known_), told_(std::exchange(other.told_, nullptr)) {}

AuthenticationReply& AuthenticationReply::operator=(AuthenticationReply&& other) noexcept {
  if (this == &other) return *this;
  answer(false);
  known_ = other.known_;
  told_ = std::exchange(other.told_, nullptr);
  return *this;
}

AuthenticationReply::~AuthenticationReply() { answer(false); }

Errc AuthenticationReply::answer(bool authenticated) {
  if (!told_) return Errc::already_replied;
  std::exchange(told_, nullptr)(authenticated);
  return Errc::none;
}

}  // namespace sluice
