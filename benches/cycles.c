/*
 * How much a program that connects and leaves all day grows by.
 *
 *   benches/run cycles disconnect 10000    connect, on_connected, disconnect, on_disconnected, delete
 *   benches/run cycles delete 10000        connect, on_connected, delete
 *   benches/run cycles refused 10000       connect with a bad token, on_error, delete
 *   benches/run cycles again 10000         as the first, with one object for all
 *
 * The hub runs in this process, so its memory counts too. A third argument is a limit in bytes per cycle, see check_growth.
 */
#include "bench.h"

#define SESSION "cycles"

typedef enum kind { DISCONNECT, DELETE, REFUSED, AGAIN } kind;

static kind kind_of(const char *name) {
  static const char *const names[] = {"disconnect", "delete", "refused", "again"};
  for (int i = 0; i < 4; i++)
    if (!strcmp(name, names[i])) return (kind)i;
  fprintf(stderr, "%s: disconnect, delete, refused or again?\n", name);
  exit(2);
}

static void cycle(kind kind, const char *token) {
  client client;
  client_init(&client, SESSION);
  if (kind == REFUSED) {
    CHECK_EQUAL(otc_session_connect(client.session, token), OTC_SUCCESS);
    client_wait(&client, &client.errors, 1);
    CHECK_EQUAL(client.connected + client.disconnected, 0);
  } else {
    client_connect(&client, token);
    if (kind == DISCONNECT) client_disconnect(&client);
  }
  client_end(&client);
}

static void cycles(kind kind, const char *token, long count) {
  if (kind != AGAIN) {
    for (long i = 0; i < count; i++) cycle(kind, token);
    return;
  }
  client client;
  client_init(&client, SESSION);
  for (long i = 0; i < count; i++) client_connect(&client, token), client_disconnect(&client);
  client_end(&client);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  kind kind = kind_of(argc > 1 ? argv[1] : "disconnect");
  long count = argument(argc, argv, 2, 10000), limit = argument(argc, argv, 3, 0), warm_up = count / 10;
  char *good = token_of(KEY, SESSION), *bad = token_of("another key", SESSION);
  CHECK_EQUAL(otc_init(NULL), OTC_SUCCESS);
  cycles(DISCONNECT, good, 1); /* starts the hub */
  cycles(kind, kind == REFUSED ? bad : good, warm_up);
  holding before = settled(otc_ext_live_objects);
  print_holding("before", &before);
  long long start = now_ns();
  cycles(kind, kind == REFUSED ? bad : good, count);
  double took_s = (double)(now_ns() - start) / 1e9;
  check_back(&before, otc_ext_live_objects);
  holding after = settled(otc_ext_live_objects);
  print_holding("after", &after);
  double in_use = (double)(after.in_use - before.in_use) / (double)count,
         resident = (double)(after.resident - before.resident) / (double)count;
  printf("%ld cycles (%s), %.0f per second: growth per cycle %.1f bytes in use, %.1f bytes resident\n", count,
         argc > 1 ? argv[1] : "disconnect", (double)count / took_s, in_use, resident);
  CHECK_EQUAL(otc_destroy(), OTC_SUCCESS);
  only_this_thread_is_left();
  free(good), free(bad);
  check_growth(in_use, resident, limit);
  return 0;
}
