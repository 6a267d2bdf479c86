/* Needs nothing special, one would think; compiled on glibc 2.38 or newer, strlcpy comes from there. */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    char name[32];
    strlcpy(name, argc > 1 ? argv[1] : "world", sizeof name);
    printf("hello, %s\n", name);
    return 0;
}
