// The smallest program that has used the library: C++11 to C++20, with an exception and a string of the runtime library, so
// that it needs the one it was compiled for.
#include <opentok.h>
#include <opentok/publisher.h>

#include <iostream>
#include <stdexcept>
#include <string>

namespace {

struct greeter {
  std::string name;
};

void on_error(otc_session *, void *user_data, const char *text, otc_session_error_code) {
  static_cast<greeter *>(user_data)->name = text;
}

std::string id_of_a_session() {
  greeter self;
  otc_session_callbacks callbacks = {};
  callbacks.user_data = &self;
  callbacks.on_error = on_error;
  otc_session *session = otc_session_new("key", "session", &callbacks);
  if (session == nullptr || otc_session_get_user_data(session) != &self) throw std::runtime_error("no session");
  std::string id = otc_session_get_id(session);
  if (otc_session_delete(session) != OTC_SUCCESS) throw std::runtime_error("not deleted");
  return id;
}

}  // namespace

int main() try {
  if (otc_init(nullptr) != OTC_SUCCESS) return 1;
  std::cout << id_of_a_session() << std::endl;
  usleep(1); // as the SDK's programs call it: with nothing else included that would declare it
  return otc_destroy() != OTC_SUCCESS;
} catch (const std::exception &error) {
  std::cerr << error.what() << std::endl;
  return 1;
}
