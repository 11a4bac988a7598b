/* What a program does with WASI: `program COMMAND...`. Each command prints what it found. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void files(void) {
    char text[64];
    struct stat found;
    FILE *file = fopen("/data/new.txt", "w+");
    if (file == NULL) {
        printf("open: %s\n", strerror(errno));
        return;
    }
    fprintf(file, "number %d and %.3f\n", 42, 2.5);
    fseek(file, 7, SEEK_SET);
    printf("read: %s", fgets(text, sizeof text, file));
    fclose(file);
    printf("mkdir %d, again %d %s\n", mkdir("/data/sub", 0777), mkdir("/data/sub", 0777), strerror(errno));
    printf("rename %d\n", rename("/data/new.txt", "/data/sub/moved.txt"));
    printf("stat %d, %lld bytes\n", stat("/data/sub/moved.txt", &found), (long long)found.st_size);
    printf("symlink %d, readlink %d\n", symlink("sub/moved.txt", "/data/link"), (int)readlink("/data/link", text, 64));
    printf("truncate %d\n", truncate("/data/sub/moved.txt", 6));
    file = fopen("/data/link", "r");
    printf("linked: %s\n", fgets(text, sizeof text, file));
    fclose(file);
    printf("unlink %d, rmdir of what is not empty %d %s\n", unlink("/data/link"), rmdir("/data/sub"), strerror(errno));
    printf("below: %s\n", fopen("/data/../../etc/passwd", "r") ? "OPEN" : strerror(errno));
    printf("beside: %s\n", fopen("/etc/passwd", "r") ? "OPEN" : strerror(errno));
    printf("through a link: %s\n", fopen("/data/out", "r") ? "OPEN" : strerror(errno));
}

static void list(const char *path) {
    struct dirent *entry;
    int count = 0;
    DIR *directory = opendir(path);
    if (directory == NULL) {
        printf("opendir: %s\n", strerror(errno));
        return;
    }
    while ((entry = readdir(directory)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(directory);
    printf("%d entries\n", count);
}

static void clocks(void) {
    struct timespec before, after, now, pause = {0, 3000000};
    unsigned char random[16], zero[16] = {0};
    clock_gettime(CLOCK_MONOTONIC, &before);
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_MONOTONIC, &after);
    clock_gettime(CLOCK_REALTIME, &now);
    long long slept = (after.tv_sec - before.tv_sec) * 1000000000ll + after.tv_nsec - before.tv_nsec;
    printf("slept %s, date %s", slept >= 3000000 ? "long enough" : "too little", now.tv_sec > 1600000000 ? "plausible" : "wrong");
    printf(", random %s\n", getentropy(random, 16) == 0 && memcmp(random, zero, 16) != 0 ? "yes" : "no");
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "echo") == 0) {
        for (int i = 0; i < argc; i++)
            printf("%s\n", argv[i]);
        for (char **variable = environ; *variable != NULL; variable++)
            printf("%s\n", *variable);
    } else if (strcmp(command, "cat") == 0) {
        int byte;
        while ((byte = getchar()) != EOF)
            putchar(byte);
        fprintf(stderr, "done\n");
    } else if (strcmp(command, "files") == 0) {
        files();
    } else if (strcmp(command, "list") == 0) {
        list(argv[2]);
    } else if (strcmp(command, "clocks") == 0) {
        clocks();
    } else if (strcmp(command, "floats") == 0) {
        printf("%.17g %a %e %g\n", 0.1, 1.0 / 3, -1e-300, 1e300 * 1e300);
    } else if (strcmp(command, "exit") == 0) {
        printf("before\n");
        exit(atoi(argv[2]));
    } else if (strcmp(command, "return") == 0) {
        return atoi(argv[2]);
    } else if (strcmp(command, "trap") == 0) {
        printf("before\n");
        fflush(stdout);
        *(volatile int *)0x7fffff00 = 1;
    }
    return 0;
}
