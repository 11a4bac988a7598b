/* A WASI program, for host.c. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    char line[64] = "";
    FILE *file = fopen("/data/out.txt", "w");
    if (fgets(line, sizeof line, stdin) == NULL)
        line[0] = 0;
    printf("%d %s %s %s", argc, argv[1], getenv("COLOUR") != NULL ? getenv("COLOUR") : "(null)", line);
    fprintf(stderr, "%s\n", file != NULL ? "open" : "closed");
    if (file != NULL) {
        fputs("written", file);
        fclose(file);
    }
    exit(argc > 2 ? atoi(argv[2]) : 0);
}
