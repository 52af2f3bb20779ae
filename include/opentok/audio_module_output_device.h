#include "../opentok.h"
