/* Solves -Laplace(u) = f on the unit square by red-black SOR and compares with the exact solution
 * u = sin(pi x) sin(pi y). Usage: poisson N, with N inner points per side. Prints one JSON object. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#ifdef _OPENMP
#include <omp.h>
#endif

static const double PI = 3.14159265358979323846;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* One sweep over the points of one colour; returns the largest change. */
static double sweep(double *u, const double *f, int n, double h, double omega, int colour)
{
    double largest = 0.0;
    int i;
#pragma omp parallel for reduction(max : largest)
    for (i = 1; i <= n; i++) {
        for (int j = 1 + (i + colour) % 2; j <= n; j += 2) {
            size_t k = (size_t)i * (size_t)(n + 2) + (size_t)j;
            double next = 0.25 * (u[k - 1] + u[k + 1] + u[k - (size_t)n - 2] + u[k + (size_t)n + 2] + h * h * f[k]);
            double change = omega * (next - u[k]);
            u[k] += change;
            if (fabs(change) > largest)
                largest = fabs(change);
        }
    }
    return largest;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 0, threads = 1, iterations = 0;
    if (n < 2 || n > 4096) {
        fprintf(stderr, "usage: poisson N   (2 <= N <= 4096 inner points per side)\n");
        return 2;
    }
#ifdef _OPENMP
    threads = omp_get_max_threads();
#endif
    size_t cells = (size_t)(n + 2) * (size_t)(n + 2);
    double h = 1.0 / (n + 1), error = 0.0, start = now(), change;
    double *u = calloc(cells, sizeof *u), *f = calloc(cells, sizeof *f);
    if (!u || !f) {
        fprintf(stderr, "poisson: out of memory\n");
        return 1;
    }
    for (int i = 1; i <= n; i++)
        for (int j = 1; j <= n; j++)
            f[(size_t)i * (size_t)(n + 2) + (size_t)j] = 2.0 * PI * PI * sin(PI * i * h) * sin(PI * j * h);
    double omega = 2.0 / (1.0 + sin(PI * h)); /* the best relaxation for this problem */
    do {
        double red = sweep(u, f, n, h, omega, 0), black = sweep(u, f, n, h, omega, 1);
        change = red > black ? red : black;
        iterations++;
    } while (change > 1e-11 && iterations < 100 * n);
    for (int i = 1; i <= n; i++)
        for (int j = 1; j <= n; j++) {
            double exact = sin(PI * i * h) * sin(PI * j * h);
            double off = fabs(u[(size_t)i * (size_t)(n + 2) + (size_t)j] - exact);
            if (off > error)
                error = off;
        }
    printf("{\"n\": %d, \"threads\": %d, \"iterations\": %d, \"max_error\": %.6e, \"seconds\": %.4f}\n", n, threads,
           iterations, error, now() - start);
    free(u);
    free(f);
    return 0;
}
