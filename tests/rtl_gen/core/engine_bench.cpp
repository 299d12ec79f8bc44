// Runs an engine. Arguments: list, seed, share of cycles without a word, share without room for results, most
// cycles, and optionally the cycle of a reset, after which all begins anew ("restart").
// The list is what the bus brings: "w DESTINATION ADDRESS PART LAST HEX", "t" (a transfer is complete), "a N" (wait for N
// operations). Output: "o CYCLE ADDRESS MASK DATA" (written levels), "r SUMS", "op DONE CYCLES STALLS",
// "end ENDED ERROR CYCLES STALLS OPERATIONS LEFT_OVER".
#include "Vtop.h"
#include "verilated.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>
#include <random>
#include <type_traits>
template <class T> void put(T& port, const std::string& hex) {
    if constexpr (std::is_integral_v<T>) { port = (T)strtoull(hex.c_str(), nullptr, 16); }
    else {
        const size_t words = sizeof(T) / 4;
        for (size_t i = 0; i < words; i++) {
            long end = (long)hex.size() - 8 * (long)i, begin = end - 8 < 0 ? 0 : end - 8;
            port[i] = end <= 0 ? 0 : (uint32_t)strtoul(hex.substr(begin, end - begin).c_str(), nullptr, 16);
        }
    }
}
template <class T> std::string get(const T& port) {
    char text[40];
    if constexpr (std::is_integral_v<T>) { snprintf(text, 40, "%llx", (unsigned long long)port); return text; }
    else {
        std::string s;
        for (int i = (int)(sizeof(T) / 4) - 1; i >= 0; i--) { snprintf(text, 40, "%08x", port[i]); s += text; }
        return s;
    }
}
struct Word { char kind; long a, b; std::string data; long part, last; };
int main(int argc, char** argv) {
    std::vector<Word> list;
    FILE* f = fopen(argv[1], "r");
    int seed = atoi(argv[2]); double gap = atof(argv[3]); double held = atof(argv[4]); long limit = atol(argv[5]);
    long restart = argc > 6 ? atol(argv[6]) : -1;
    char kind; static char data[65536]; long a, b, part, last;
    while (fscanf(f, " %c", &kind) == 1) {
        if (kind == 'w') { if (fscanf(f, "%ld %ld %ld %ld %65535s", &a, &b, &part, &last, data) != 5) return 3; list.push_back({kind, a, b, data, part, last}); }
        else if (kind == 'a') { if (fscanf(f, "%ld", &a) != 1) return 3; list.push_back({kind, a, 0, "", 0, 0}); }
        else list.push_back({kind, 0, 0, "", 0, 0});
    }
    std::mt19937 random(seed); std::uniform_real_distribution<double> unit(0, 1);
    VerilatedContext context; context.randReset(2); context.randSeed(seed + 1);
    Vtop top(&context);
    auto edge = [&] { top.clk = 0; top.eval(); };
    auto rise = [&] { top.clk = 1; top.eval(); };
    size_t at = 0; long cycle = 0; int ops = 0, transfers = 0; bool end = false;
    auto begin = [&] {
        at = 0; ops = transfers = 0;
        top.rst = 1; top.start = 0; top.write_valid = 0; top.result_ready = 0; top.transfers_done = 0;
        for (int i = 0; i < 5; i++) { edge(); rise(); }
        top.rst = 0; top.start = 1; edge(); rise(); top.start = 0;
    };
    begin();
    while (!end && cycle < limit) {
        if (cycle == restart) { printf("restart\n"); begin(); }
        while (at < list.size() && !top.write_valid) {
            if (list[at].kind == 't') { top.transfers_done = ++transfers; at++; }
            else if (list[at].kind == 'a') { if (top.operations_done >= list[at].a) at++; else break; }
            else {
                if (unit(random) < gap) break;
                top.write_valid = 1; top.write_destination = list[at].a; top.write_address = list[at].b;
                top.write_part = list[at].part; top.write_last = list[at].last;
                put(top.write_data, list[at].data); break;
            }
        }
        top.result_ready = unit(random) >= held; top.result_idle = unit(random) >= held;
        edge();
        bool taken = top.write_valid && top.write_ready;
        if (top.out_write) printf("o %ld %ld %s %s\n", cycle, (long)top.out_address, get(top.out_mask).c_str(), get(top.out_data).c_str());
        if (top.result_valid && top.result_ready) printf("r %s\n", get(top.result_data).c_str());
        if (top.operations_done != ops) { ops = top.operations_done; printf("op %d %llu %llu\n", ops, (unsigned long long)top.cycles, (unsigned long long)top.stalls); }
        end = top.done || top.error;
        rise();
        if (taken) { top.write_valid = 0; at++; }
        cycle++;
    }
    printf("end %d %d %llu %llu %d %zu\n", end, top.error, (unsigned long long)top.cycles, (unsigned long long)top.stalls, top.operations_done, list.size() - at);
    return 0;
}
