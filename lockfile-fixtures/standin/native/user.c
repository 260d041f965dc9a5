#include <stdio.h>

int base(void);

int main(void) {
  printf("%d\n", base());
  return 0;
}
