// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random sequences of operations against a model of what they have to do.
 *
 *   fuzz_test [-s SEED] [-n OPS] [-t SECONDS] [-l LENGTH] [-b RULE]
 *   fuzz_test -r FILE [-b RULE]
 *
 * Does OPS operations, or as many as there is time for, in sequences of LENGTH, each
 * in a context of its own. SEED is that of the first sequence; the next one has the
 * next number. A sequence in which kernel and model do not agree is made as small as
 * possible and printed; in a FILE (only its lines) it is done again by -r. With -b
 * the model has a RULE wrong, which has to be found.
 *
 * Without arguments it fuzzes for FUZZ_SECONDS of the environment, or 60, and then
 * tests itself with wrong rules, and does again what was wrong once.
 */
#include <getopt.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "kselftest.h"
#include "fuzz_sequence.h"

/* No operation takes that long, in seconds */
#define STUCK 120
/* How long to go on for the rarest success */
#define MORE_SECONDS 20
/* How often to tell how far it is, in seconds */
#define TELL 300

struct options {
	__u64 seed;
	__u64 ops;		/* 0 for no end */
	unsigned int seconds;	/* 0 for no end */
	unsigned int length;
	const char *broken, *replay;
};

/* What a process that fuzzes tells the one that waits for it */
struct shared {
	struct fuzz_progress progress;
	bool failed;
	char why[500];
	struct fuzz_sequence seq;
};

static struct shared *shared;
static const char *no_injection;

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* Seeds say what else is special about a sequence */
static const char *node_of(__u64 seed)
{
	bool container = seed % 4 == 3 && !access("/dev/vfio/vfio", R_OK | W_OK);

	return container ? "/dev/vfio/vfio" : "/dev/iommu";
}

static bool injects(__u64 seed)
{
	return seed % 4 == 1 && !no_injection;
}

/* A kind of operation that has never succeeded is tested for nothing. Or NULL. */
static const char *never_done(const struct fuzz_stats *stats)
{
	for (unsigned int k = 0; k < fuzz_nkinds; k++)
		if (!stats->results[k][0] &&
		    strcmp(fuzz_kinds[k].name, "senseless"))
			return fuzz_kinds[k].name;
	return NULL;
}

/* Is there time left, with some more for what is rare? */
static bool goes_on(const struct fuzz_progress *progress, time_t end)
{
	time_t t = now();

	return t < end || (t < end + MORE_SECONDS &&
			   never_done(&progress->stats));
}

/* One process; true if nothing is wrong */
static bool fuzz_until(const struct options *opt)
{
	struct fuzz_progress *progress = &shared->progress;
	time_t end = opt->seconds ? now() + opt->seconds : 0;
	struct fuzz_sequence *seq = &shared->seq;
	__u64 seed = opt->seed, last = progress->total + opt->ops;

	while ((!opt->ops || progress->total < last) &&
	       (!end || goes_on(progress, end))) {
		/* What a wrong model makes of it has to happen again */
		bool inject = injects(seed) && !opt->broken;

		seq->node = node_of(seed);
		if (!sequence_random(seq, seed, opt->length, inject,
				     opt->broken, shared->why,
				     sizeof(shared->why), progress))
			return false;
		seed++;
	}
	return true;
}

static void print_sequence(const char *title, const struct fuzz_sequence *seq)
{
	char *text = NULL, *line, *rest;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	ksft_print_msg("%s, %u operations:\n", title, seq->nops);
	sequence_write(seq, file);
	fclose(file);
	for (rest = text; (line = strsep(&rest, "\n")) && *line;)
		ksft_print_msg("  %s\n", line);
	free(text);
	fflush(stdout);
}

/* In a process of its own, which may die */
static void do_fuzz(const struct options *opt)
{
	no_injection = fuzz_injection();
	shared->failed = !fuzz_until(opt);
	_exit(0);
}

static void do_shrink(const struct options *opt)
{
	char why[500];

	fuzz_injection();
	/* A failure of a kernel that is broken by then is not repeated */
	if (sequence_run(&shared->seq, opt->broken, why, sizeof(why)))
		_exit(1);
	sequence_shrink(&shared->seq, opt->broken);
	sequence_run(&shared->seq, opt->broken, shared->why,
		     sizeof(shared->why));
	_exit(0);
}

/*
 * Have a process do something, and wait for it as long as it gets on. NULL, or what
 * became of it.
 */
static const char *supervise(void (*what)(const struct options *opt),
			     const struct options *opt)
{
	struct fuzz_progress *progress = &shared->progress;
	time_t since = now(), told = since;
	__u64 seen = 0;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		what(opt);
	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
		if (progress->total != seen)
			since = now();
		seen = progress->total;
		if (now() - told > TELL) {
			told = now();
			ksft_print_msg("%llu operations, seed %llu\n", seen,
				       progress->seed);
		}
		if (what == do_fuzz && now() - since > STUCK) {
			kill(pid, SIGKILL);
			return "it is stuck";
		}
		usleep(20000);
	}
	if (WIFSIGNALED(status))
		return strsignal(WTERMSIG(status));
	return WEXITSTATUS(status) ? "it did not happen again" : NULL;
}

/* True if kernel and model agreed. A sequence that fails is in @shared. */
static bool fuzz(const struct options *opt)
{
	const char *died;

	ksft_print_msg("seed %llu\n", opt->seed);
	memset(shared, 0, sizeof(*shared));
	died = supervise(do_fuzz, opt);
	if (died) {
		ksft_print_msg("died in operation %u of seed %llu: %s\n",
			       shared->progress.op, shared->progress.seed,
			       died);
		print_sequence("it had done", &shared->seq);
		return false;
	}
	if (!shared->failed)
		return true;
	ksft_print_msg("seed %llu, operation %u: %s\n", shared->progress.seed,
		       shared->progress.op, shared->why);
	died = supervise(do_shrink, opt);
	if (died)
		ksft_print_msg("making it smaller: %s\n", died);
	print_sequence("what does it", &shared->seq);
	ksft_print_msg("%s\n", shared->why);
	return false;
}

static bool replay_file(FILE *file, const struct options *opt)
{
	bool good = file && sequence_read(&shared->seq, file);

	if (file)
		fclose(file);
	if (!good) {
		ksft_print_msg("%s cannot be read\n", opt->replay);
		return false;
	}
	fuzz_injection();
	good = sequence_run(&shared->seq, opt->broken, shared->why,
			    sizeof(shared->why));
	ksft_print_msg("%u operations: %s\n", shared->seq.nops,
		       good ? "kernel and model agree" : shared->why);
	return good;
}

static bool replay(const struct options *opt)
{
	return replay_file(fopen(opt->replay, "re"), opt);
}

static void print_stats(const struct fuzz_stats *stats)
{
	for (unsigned int k = 0; k < fuzz_nkinds; k++) {
		char text[600] = "";
		__u64 calls = 0;
		size_t len = 0;

		for (int rc = 0; rc < FUZZ_ERRNOS && len < sizeof(text); rc++) {
			__u64 num = stats->results[k][rc];

			calls += num;
			if (num)
				len += snprintf(text + len, sizeof(text) - len,
						" %s %llu", rc ?
						strerrorname_np(rc) : "ok", num);
		}
		ksft_print_msg("%s:%s, %llu failures injected, %llu us each\n",
			       fuzz_kinds[k].name, text, stats->injected[k],
			       calls ? stats->ns[k] / calls / 1000 : 0);
	}
}

static bool parse_options(int argc, char **argv, struct options *opt)
{
	int c;

	while ((c = getopt(argc, argv, "s:n:t:l:b:r:")) != -1) {
		switch (c) {
		case 's':
			opt->seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			opt->ops = strtoull(optarg, NULL, 0);
			break;
		case 't':
			opt->seconds = strtoul(optarg, NULL, 0);
			break;
		case 'l':
			opt->length = strtoul(optarg, NULL, 0);
			break;
		case 'b':
			opt->broken = optarg;
			break;
		case 'r':
			opt->replay = optarg;
			break;
		default:
			return false;
		}
	}
	return optind == argc && opt->length && opt->length <= SEQUENCE_MAX;
}

/* A model with a rule wrong, and how few operations show that */
static const struct {
	const char *rule;
	unsigned int nops;
} wrong_rules[] = {
	{ "unmap-cut", 8 },
	{ "first-fit", 6 },
	{ "destroy-busy", 8 },
	{ "copy-writable", 9 },
};

/* It has to be found, made small, and to be the model's fault */
static bool finds(const char *rule, unsigned int nops)
{
	/*
	 * How small a sequence gets depends on what it was; its seed is always the
	 * same, as the kernel is not what this is about.
	 */
	const struct options opt = {
		.seed = 1, .ops = 100000, .length = 150, .broken = rule,
	};
	char path[] = "/tmp/fuzz-XXXXXX";
	struct options again = { .replay = path, .broken = rule };
	int fd;
	FILE *file;
	bool good;

	if (fuzz(&opt)) {
		ksft_print_msg("not found\n");
		return false;
	}
	fd = mkstemp(path);
	file = fdopen(fd, "w");
	sequence_write(&shared->seq, file);
	fclose(file);
	good = !replay(&again);
	again.broken = NULL;
	good &= replay(&again);
	good &= shared->seq.nops <= nops;
	unlink(path);
	return good;
}

/* What kernel and model did not agree on once, and who was wrong */
static const struct {
	const char *name, *ops;
} known[] = {
	{ "model: a mapping reaches as far as the memory of the next region",
	  "ioas to=7\n"
	  "device with=7 to=5 flags=4\n"
	  "ioas to=28\n"
	  "map obj=28 mem=3 off=0x2000 len=0xffffffffffffff iova=0 flags=6\n"
	  "copy obj=7 with=28 len=0x1000 iova=0x101c000 src=0x1001000 flags=7\n" },
};

static bool agrees_now(const char *ops)
{
	const struct options opt = { .replay = "what is known" };

	return replay_file(fmemopen((void *)ops, strlen(ops), "r"), &opt);
}

int main(int argc, char **argv)
{
	struct options opt = {
		.seed = rnd_seed(), .length = 150,
	};
	const char *seconds = getenv("FUZZ_SECONDS"), *never;
	bool good;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!parse_options(argc, argv, &opt) || shared == MAP_FAILED) {
		fprintf(stderr, "see the comment in fuzz_test.c\n");
		return KSFT_FAIL;
	}
	ksft_print_header();
	if (argc == 1)
		opt.seconds = seconds ? strtoul(seconds, NULL, 0) : 60;
	ksft_set_plan(argc > 1 ? 1 :
		      1 + ARRAY_LEN(wrong_rules) + ARRAY_LEN(known));
	good = opt.replay ? replay(&opt) : fuzz(&opt);
	/* After a report, who only sees the last lines has to see that */
	if (good)
		print_stats(&shared->progress.stats);
	ksft_print_msg("%llu operations\n", shared->progress.total);
	never = good && opt.seconds ? never_done(&shared->progress.stats) :
				      NULL;
	if (never)
		ksft_print_msg("never successful, there was little time: %s\n",
			       never);
	ksft_test_result(good, "kernel and model agree\n");
	for (unsigned int i = 0; argc == 1 && i < ARRAY_LEN(wrong_rules); i++)
		ksft_test_result(finds(wrong_rules[i].rule, wrong_rules[i].nops),
				 "finds a wrong model: %s\n",
				 wrong_rules[i].rule);
	for (unsigned int i = 0; argc == 1 && i < ARRAY_LEN(known); i++)
		ksft_test_result(agrees_now(known[i].ops), "once wrong: %s\n",
				 known[i].name);
	ksft_finished();
}
