/* The same tree made by a program that does nothing else: the floor under any installer.

     floor FROM TO copy|hardlink THREADS
     floor FROM '' look THREADS

   Reads the list of FROM's entries and the bytes of its files first; then makes TO, and prints the seconds that this
   took. Folders are made in one sweep; each thread then fills every THREADSth folder, by names relative to it. Or looks
   at every folder and file of FROM once, which is the least that can tell that nothing was changed. */

#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct entry { char *name, *bytes; off_t size; mode_t mode; };
struct folder { char *path; mode_t mode; struct entry *entries; size_t count, room; };

static struct folder *folders;
static size_t count, room, threads;
static const char *from, *to;
static int links, looks, from_top, to_top;

static char *read_all(int at, const char *name, off_t size) {
  char *bytes = malloc(size + 1);
  int fd = openat(at, name, O_RDONLY);
  for (off_t have = 0; have < size;) {
    ssize_t got = read(fd, bytes + have, size - have);
    if (got <= 0) err(1, "read %s", name);
    have += got;
  }
  close(fd);
  return bytes;
}

static void list(const char *path) {
  if (count == room) folders = realloc(folders, sizeof *folders * (room = room * 2 + 64));
  size_t own = count++;
  struct stat about;
  int fd = openat(from_top, path, O_RDONLY | O_DIRECTORY);
  if (fd < 0 || fstat(fd, &about)) err(1, "open %s", path);
  folders[own] = (struct folder){.path = strdup(path), .mode = about.st_mode & 07777};
  DIR *dir = fdopendir(fd);
  for (struct dirent *each; (each = readdir(dir));) {
    if (!strcmp(each->d_name, ".") || !strcmp(each->d_name, "..")) continue;
    if (fstatat(fd, each->d_name, &about, AT_SYMLINK_NOFOLLOW)) err(1, "stat %s", each->d_name);
    if (S_ISDIR(about.st_mode)) {
      char *below;
      if (asprintf(&below, "%s/%s", path, each->d_name) < 0) err(1, "asprintf");
      list(below);
      free(below);
      continue;
    }
    struct entry entry = {.name = strdup(each->d_name), .size = about.st_size, .mode = about.st_mode};
    if (S_ISLNK(about.st_mode)) {
      entry.bytes = calloc(1, about.st_size + 1);
      if (readlinkat(fd, each->d_name, entry.bytes, about.st_size) < 0) err(1, "readlink");
    } else if (!links && !looks) entry.bytes = read_all(fd, each->d_name, about.st_size);
    struct folder *here = &folders[own];
    if (here->count == here->room)
      here->entries = realloc(here->entries, sizeof entry * (here->room = here->room * 2 + 8));
    here->entries[here->count++] = entry;
  }
  closedir(dir);
}

static void *fill(void *first) {
  for (size_t at = (size_t)first; at < count; at += threads) {
    struct folder *here = &folders[at];
    if (!here->count) continue;
    int out = openat(to_top, here->path, O_PATH | O_DIRECTORY), in = -1;
    if (links) in = openat(from_top, here->path, O_PATH | O_DIRECTORY);
    for (size_t i = 0; i < here->count; i++) {
      struct entry *entry = &here->entries[i];
      if (S_ISLNK(entry->mode)) {
        if (symlinkat(entry->bytes, out, entry->name)) err(1, "symlink %s", entry->name);
      } else if (links) {
        if (linkat(in, entry->name, out, entry->name, 0)) err(1, "link %s", entry->name);
      } else {
        int fd = openat(out, entry->name, O_WRONLY | O_CREAT | O_EXCL, entry->mode & 07777);
        if (fd < 0) err(1, "create %s", entry->name);
        for (off_t have = 0; have < entry->size;) {
          ssize_t put = write(fd, entry->bytes + have, entry->size - have);
          if (put <= 0) err(1, "write %s", entry->name);
          have += put;
        }
        close(fd);
      }
    }
    close(out);
    if (links) close(in);
  }
  return NULL;
}

static void *look(void *first) {
  const unsigned wanted = STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_SIZE | STATX_MTIME | STATX_CTIME;
  size_t part = (count + threads - 1) / threads, start = (size_t)first * part;
  for (size_t at = start; at < start + part && at < count; at++) {
    struct folder *here = &folders[at];
    struct statx about;
    int in = openat(from_top, here->path, O_PATH | O_DIRECTORY);
    if (in < 0 || statx(in, "", AT_EMPTY_PATH, wanted, &about)) err(1, "stat %s", here->path);
    for (size_t i = 0; i < here->count; i++)
      if (statx(in, here->entries[i].name, AT_SYMLINK_NOFOLLOW, wanted, &about)) err(1, "stat %s", here->entries[i].name);
    close(in);
  }
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 5) errx(2, "floor FROM TO copy|hardlink|look THREADS");
  from = argv[1], to = argv[2], links = !strcmp(argv[3], "hardlink"), threads = atoi(argv[4]);
  looks = !strcmp(argv[3], "look");
  void *(*work)(void *) = looks ? look : fill;
  umask(022);
  if ((from_top = open(from, O_RDONLY | O_DIRECTORY)) < 0) err(1, "%s", from);
  list(".");
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  if (!looks && (mkdir(to, 0755) || (to_top = open(to, O_RDONLY | O_DIRECTORY)) < 0)) err(1, "%s", to);
  for (size_t i = 1; !looks && i < count; i++)
    if (mkdirat(to_top, folders[i].path, folders[i].mode)) err(1, "mkdir %s", folders[i].path);
  pthread_t all[64];
  for (size_t i = 1; i < threads && i < 64; i++) pthread_create(&all[i], NULL, work, (void *)i);
  work((void *)0);
  for (size_t i = 1; i < threads && i < 64; i++) pthread_join(all[i], NULL);
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%f\n", end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9);
}
