/* Opens the library while it runs, by the path that it is given. In C and in C++. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  int (*init)(void *), (*destroy)(void);
  void *symbols[2], *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
  if (!library) return fprintf(stderr, "%s\n", dlerror()), 1;
  symbols[0] = dlsym(library, "otc_init");
  symbols[1] = dlsym(library, "otc_destroy");
  /* C and C++ both know no other way from an object's address to a function's. */
  memcpy(&init, &symbols[0], sizeof init);
  memcpy(&destroy, &symbols[1], sizeof destroy);
  if (init(NULL) || destroy() || dlclose(library)) return 1;
  return puts("session"), 0;
}
