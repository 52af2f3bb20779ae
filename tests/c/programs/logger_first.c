/*
 * The logger and the level are set before the library is started. The logger takes its lock with a try and drops the line
 * when it does not get it; and a program that does nothing else still gets a line.
 *
 *   logger_first
 */
#include <opentok.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t logged;
static char last[1024];

static void logger(const char *message) {
  if (pthread_mutex_trylock(&lock) != 0) return;
  snprintf(last, sizeof last, "%s", message);
  pthread_mutex_unlock(&lock);
  sem_post(&logged);
}

static void run(int level_first) {
  last[0] = 0;
  if (level_first) otc_log_enable(OTC_LOG_LEVEL_ALL);
  otc_log_set_logger_callback(logger);
  if (!level_first) otc_log_enable(OTC_LOG_LEVEL_ALL);
  otc_status status = otc_init(NULL);
  sem_wait(&logged);
  pthread_mutex_lock(&lock); /* what is logged meanwhile is dropped */
  printf("main: init gives %d, the level is %d, a line came: %d\n", status, otc_get_log_level(), strlen(last) > 0);
  otc_session_delete(NULL); /* a mistake, which the log mentions */
  pthread_mutex_unlock(&lock);
  while (sem_trywait(&logged) == 0) continue;
  otc_session_connect(NULL, NULL);
  sem_wait(&logged);
  otc_log_enable(OTC_LOG_LEVEL_DISABLED);
  printf("main: destroy gives %d\n", otc_destroy());
  while (sem_trywait(&logged) == 0) continue;
}

int main(void) {
  sem_init(&logged, 0, 0);
  printf("main: the level is %d\n", otc_get_log_level());
  run(1);
  run(0);
  return 0;
}
