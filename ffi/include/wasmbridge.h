/*
 * wasmbridge: compiles WebAssembly ahead of time, and lets C libraries that know nothing of it call an app's functions through
 * ordinary C function pointers.
 *
 * A small program, complete but for its error handling:
 *
 *     #include <stdlib.h>
 *     #include <wasmbridge.h>
 *
 *     int main(void) {
 *         wb_engine *engine;
 *         wb_module *module;
 *         wb_linker *linker;
 *         wb_instance *app;
 *         wb_fn compare;
 *         int numbers[] = {3, 1, 2}, *shared;
 *         wb_val where;
 *
 *         wb_engine_new(NULL, &engine);
 *         wb_module_open(engine, "app.wbm", &module);
 *         wb_linker_new(engine, &linker);
 *         wb_linker_define(linker, "env", "int abs(int)", (wb_fn)abs);
 *         wb_linker_instantiate(linker, module, &app);
 *
 *         wb_callback(app, "int compare(const void *, const void *)", NULL, &compare);
 *         wb_instance_call(app, "numbers", NULL, 0, &where, 1);
 *         wb_native_ptr(app, (uint32_t)where.of.i32, sizeof numbers, (void **)&shared);
 *         qsort(shared, 3, sizeof *shared, (int (*)(const void *, const void *))compare);
 *
 *         wb_instance_delete(app);
 *         wb_linker_delete(linker);
 *         wb_module_delete(module);
 *         wb_engine_delete(engine);
 *     }
 *
 * The life of the objects: an engine is what one host's modules share. A module is an app's compiled code. A linker holds what apps may
 * import. An instance is one running copy of an app, with its own memory. They may be deleted in any order: what is still needed by
 * another object lives on until that is deleted too.
 *
 * Ownership: what `_new`, `_open`, `_load`, `_compile`, `_instantiate` and `_take_error` give is the caller's, who ends it with the `_delete` of its
 * type. `_delete` takes NULL and then does nothing. Everything else that is returned is borrowed: it lives as long as what it was asked
 * of. What is passed in is only read during the call, unless the function says otherwise.
 *
 * Errors: every function that can fail returns NULL for success, or an error that is the caller's. On an error nothing has happened, and what
 * the result would have been written to is as it was, unless the function says otherwise. NULL for a pointer that a function needs is an
 * error of the kind WB_ERROR_INVALID_ARGUMENT, not a crash.
 *
 * Threads: engines, modules, linkers and errors may be used on any thread, by one at a time unless the function says otherwise. An instance
 * belongs to the thread that made it (or took it with wb_instance_attach) and is used on that thread only. On another one wb_instance_call is
 * an error of the kind WB_ERROR_BUSY, and a callback answers with its default value; or, if its prototype or its options say so, leaves its call for the
 * instance's thread, which makes it in wb_instance_poll (wb_instance_set_notify wakes that), and waits for it or goes on.
 *
 * Signals: no function of this header may be called in a signal handler that may have interrupted the app or this library, and of callbacks only these: the prototype has nothing but
 * numbers and [user] data; the app's function only computes, and does not trap; no error of the app waits to be taken, and it is shown no [window] data; the handler is on the app's
 * thread and stack (without SA_ONSTACK). If that function has variables in the app's own stack, compile the app with -mno-red-zone. What else is called there can find a lock of this library's or of
 * malloc's taken by what it has interrupted, and wait for ever, or find the app's imports in the middle of a call, and trap. Set a flag instead, and look at it where the app has returned. A handler must not leave
 * by siglongjmp if it may have interrupted this library. Handlers of the host's for SIGSEGV, SIGBUS, SIGILL and SIGFPE get every fault that is not an
 * app's; one that is installed after the first engine must pass on to the handler that it replaces what it does not know.
 *
 * Native data in place: a window (`wb_window_map`) is a range of the app's addresses whose pages are those of native data. A region (`wb_region_new`)
 * is memory that several apps may be given. Neither is copied; what an app may do with it the processor's memory management enforces. What an app may
 * write to it can change at any moment: copy it before you check it.
 *
 * WASI: an app that is a program for WASI, or was compiled for it, gets its files, streams and arguments from wb_linker_define_wasi. Nothing is open by
 * default.
 *
 * Texts are UTF-8 and end with a zero byte.
 *
 * Prototypes are C, as in a library's header, with annotations in square brackets where C says too little:
 *
 *     void *p                  a pointer into the app's memory; NULL is 0
 *     void *p[user]            32 bits of the app's own that C carries around; never translated
 *     T *p[handle]             an object of C's, user data for instance: the app gets a number for it, to hand back
 *     T *p[externref]          the same as a reference (clang's __externref_t), which the app cannot make up
 *     const char *s[str]       text that ends with a zero byte; the app sees a copy of a native one
 *     void *p[in: n * size]    so many bytes to read; `out` to write, `inout` for both. Numbers are those of other parameters
 *     T *p[window: read]       in callbacks: C's own data, in place while the callback runs where that can be, else a copy
 *     char **v[str: n]         an array of n texts; T **v[handle: n] of n objects
 *     int (*f)(int)            a function: for the app an index of its table, for C a pointer
 */

#ifndef WASMBRIDGE_H
#define WASMBRIDGE_H

/* Made by `make header`: edit the Rust sources of ffi/ instead. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version that this header is of; wb_version() is that of the library. */
#define WB_VERSION "0.1.0"

/**
 * The app may read: said alone or with the other flags.
 */
#define WB_READ 1

/**
 * The app may write, and read.
 */
#define WB_WRITE 2

/**
 * `wb_window_map`: bytes beside the data may be visible, where they share its first or last page.
 */
#define WB_EXPOSE_NEIGHBOURS 4

/**
 * `wb_window_map`: where the data cannot be shown in place the app gets a copy, which is copied back if it may write to it.
 */
#define WB_ALLOW_COPY 8

/**
 * `wb_window_map`: private pages are left as they are, instead of being adopted.
 */
#define WB_NO_ADOPTION 16

/**
 * `wb_window_map`: the data must end where its page does, so that the app cannot reach the byte behind it.
 */
#define WB_RIGHT_ALIGNED 32

/**
 * `wb_region_grant`: the app sees the region only in callbacks with a `[window]` parameter that points into it.
 */
#define WB_IN_CALLBACKS 64

/**
 * What sort of failure an error is.
 */
typedef enum wb_errorkind {
    /**
     * An argument is not what the function takes: NULL, out of range, of another type.
     */
    WB_ERROR_INVALID_ARGUMENT = 1,
    /**
     * The bytes are no artifact, a damaged one, or one for another version or machine.
     */
    WB_ERROR_ARTIFACT = 2,
    /**
     * A prototype could not be parsed, or is not supported.
     */
    WB_ERROR_PROTOTYPE = 3,
    /**
     * An import is not defined, or is defined with another type; or an export does not have the type that is asked for.
     */
    WB_ERROR_LINK = 4,
    /**
     * There is no export, table entry or callback of this name, index or address.
     */
    WB_ERROR_NOT_FOUND = 5,
    /**
     * The app was stopped: see `wb_error_trap_code`.
     */
    WB_ERROR_TRAP = 6,
    /**
     * A limit of the host or of wasmbridge: memory, address space, table entries, handles.
     */
    WB_ERROR_LIMIT = 7,
    /**
     * The operating system refused.
     */
    WB_ERROR_OS = 8,
    /**
     * The instance belongs to another thread, is running, or has an error that nobody has taken.
     */
    WB_ERROR_BUSY = 9,
    /**
     * The WebAssembly module is malformed, invalid, or uses what the compiler does not translate.
     */
    WB_ERROR_COMPILE = 10,
    /**
     * A bug in wasmbridge.
     */
    WB_ERROR_INTERNAL = 255,
} wb_errorkind;

/**
 * How an app was stopped.
 */
typedef enum wb_trapcode {
    /**
     * The error is no trap.
     */
    WB_TRAP_NONE = 0,
    /**
     * `unreachable` was executed: in C, `abort` or `__builtin_trap`.
     */
    WB_TRAP_UNREACHABLE = 1,
    /**
     * A load, store or bulk operation outside of the app's memory.
     */
    WB_TRAP_MEMORY_OUT_OF_BOUNDS = 2,
    /**
     * An access outside of a table.
     */
    WB_TRAP_TABLE_OUT_OF_BOUNDS = 3,
    /**
     * A call through an index that the table does not have.
     */
    WB_TRAP_UNDEFINED_ELEMENT = 4,
    /**
     * A call through a null reference: in C, a null function pointer.
     */
    WB_TRAP_UNINITIALIZED_ELEMENT = 5,
    /**
     * A call through a function pointer of another type.
     */
    WB_TRAP_INDIRECT_CALL_TYPE_MISMATCH = 6,
    /**
     * Division of the smallest integer by -1, or a float too large for the integer it is converted to.
     */
    WB_TRAP_INTEGER_OVERFLOW = 7,
    /**
     * Division of an integer by zero.
     */
    WB_TRAP_INTEGER_DIVIDE_BY_ZERO = 8,
    /**
     * NaN converted to an integer.
     */
    WB_TRAP_INVALID_CONVERSION = 9,
    /**
     * The native stack of the thread is used up.
     */
    WB_TRAP_STACK_OVERFLOW = 10,
    /**
     * An atomic access at an address that is not a multiple of its size.
     */
    WB_TRAP_UNALIGNED_ATOMIC = 11,
    /**
     * A null reference where one that is not null is needed.
     */
    WB_TRAP_NULL_REFERENCE = 12,
    /**
     * A cast to a type that the reference does not have.
     */
    WB_TRAP_CAST_FAILURE = 13,
    /**
     * An access outside of a garbage-collected array.
     */
    WB_TRAP_ARRAY_OUT_OF_BOUNDS = 14,
    /**
     * The garbage-collected heap is full.
     */
    WB_TRAP_ALLOCATION_TOO_LARGE = 15,
    /**
     * An atomic wait on a memory that is not shared.
     */
    WB_TRAP_WAIT_ON_UNSHARED_MEMORY = 16,
    /**
     * An exception that nobody caught.
     */
    WB_TRAP_UNCAUGHT_EXCEPTION = 17,
    /**
     * A value was refused at the boundary to C: the message says which and why.
     */
    WB_TRAP_CROSSING = 18,
    /**
     * A callback of the app failed while a C library, called by the app, was running: the message says how.
     */
    WB_TRAP_CALLBACK_FAILED = 19,
    /**
     * The app has ended itself, as a WASI program does when it is done: `wb_error_exit_status` has the status.
     */
    WB_TRAP_EXITED = 20,
    /**
     * A function of the host's failed: the message says which and why.
     */
    WB_TRAP_HOST_FAILED = 21,
} wb_trapcode;

/**
 * What a frame of a backtrace is.
 */
typedef enum wb_framekind {
    /**
     * A function of the app.
     */
    WB_FRAME_WASM = 0,
    /**
     * A C function that the app called.
     */
    WB_FRAME_NATIVE = 1,
    /**
     * The callback through which C entered the app.
     */
    WB_FRAME_CALLBACK = 2,
} wb_framekind;

/**
 * Why a callback has answered with its default value.
 */
typedef enum wb_refusal {
    /**
     * It never has.
     */
    WB_REFUSED_NEVER = 0,
    /**
     * The app's function trapped, or a value did not cross: the app has an error.
     */
    WB_REFUSED_FAILED = 1,
    /**
     * An error of the app waited to be taken.
     */
    WB_REFUSED_PENDING = 2,
    /**
     * The callback has ended: its instance is gone, or nobody keeps it any more by its prototype.
     */
    WB_REFUSED_GONE = 3,
    /**
     * It was called on another thread than the app's, and does not say what to do there.
     */
    WB_REFUSED_OTHER_THREAD = 4,
    /**
     * It was called on another thread, and as many calls as may be were kept already.
     */
    WB_REFUSED_QUEUE_FULL = 5,
    /**
     * Its caller would have waited for a thread that waits for the caller, itself or by others.
     */
    WB_REFUSED_CIRCLE = 6,
    /**
     * The app's thread did not make the call in time.
     */
    WB_REFUSED_TIMEOUT = 7,
    /**
     * The app's thread has ended, or is another process's.
     */
    WB_REFUSED_OWNER_ENDED = 8,
    /**
     * For a reason that this version of the header does not name.
     */
    WB_REFUSED_OTHERWISE = 255,
} wb_refusal;

/**
 * How native data came to be visible.
 */
typedef enum wb_windowmode {
    /**
     * The same pages, mapped a second time.
     */
    WB_WINDOW_ALIASED = 1,
    /**
     * Private pages that were moved into a file in memory, which is mapped at their address and in the window.
     */
    WB_WINDOW_ADOPTED = 2,
    /**
     * A copy. It is copied back when the window is unmapped, if the app may write to it; see also `wb_window_copy_in` and `wb_window_copy_out`.
     */
    WB_WINDOW_COPIED = 3,
    /**
     * A region that was granted.
     */
    WB_WINDOW_REGION = 4,
} wb_windowmode;

/**
 * An arena: a region that is given out piece by piece, for libraries that let their host allocate.
 *
 * What is in use is known outside of the region, so that no app can spoil it. All functions on it may be called on any thread, at the same time.
 */
typedef struct wb_arena wb_arena;

/**
 * An engine: what the modules and instances of one host share. Usually a program has one.
 *
 * It may be used on any thread, and on several at once.
 */
typedef struct wb_engine wb_engine;

/**
 * An error. Its texts and its backtrace live as long as it does.
 *
 * It may be used on any thread, and on several at once.
 */
typedef struct wb_error wb_error;

/**
 * An instance: one running copy of an app.
 *
 * It belongs to the thread that made it (see `wb_instance_attach`), and is used on that thread only.
 */
typedef struct wb_instance wb_instance;

/**
 * A linker: what apps may import. What an app imports and the linker does not have is an error when the app is instantiated.
 *
 * It may be used on any thread, by one at a time.
 */
typedef struct wb_linker wb_linker;

/**
 * A module: an app's compiled code, mapped into the process. It is never changed, and all its instances share it.
 *
 * It may be used on any thread, and on several at once.
 */
typedef struct wb_module wb_module;

/**
 * A region: memory that several apps may be given, each with rights of its own, all of them at the same address.
 *
 * The low 32 bits of its native address are that address, so a native pointer into it that lies in the data itself is, cut to its low four bytes,
 * the app's pointer: native lists and trees can be walked in place. Nobody can make it shorter. All functions on it may be called on any
 * thread, at the same time, and while the apps that have it are running; the instances they are given must not be deleted meanwhile.
 */
typedef struct wb_region wb_region;

/**
 * A tag: what tells one sort of exception from another, and of which types its values are. Equal types do not make two tags the same: see `wb_tag_is_same`.
 *
 * It may be used on any thread, and on several at once.
 */
typedef struct wb_tag wb_tag;

/**
 * What a WASI program (preview 1) is given: arguments, variables of the environment, standard streams, directories. At first it has
 * nothing: no arguments, no variables, an empty standard input, outputs that go nowhere, no directories. The clocks and random numbers
 * are always there.
 *
 * A library that was built without its feature `wasi` has none of the functions that follow.
 *
 * It may be used on any thread, by one at a time.
 */
typedef struct wb_wasi_config wb_wasi_config;

/**
 * A frame of a backtrace.
 */
typedef struct wb_frame {
    /**
     * What it is.
     */
    wb_framekind kind;
    /**
     * Index of the function in the module; of a frame that is not of the app, UINT32_MAX.
     */
    uint32_t function;
    /**
     * Offset of the instruction in the module's .wasm file, in bytes; UINT32_MAX if it is not known.
     */
    uint32_t wasm_offset;
    /**
     * Name of the function, never NULL; of a function of the app without a name, `wasm-function[N]`. It lives as long as the error.
     */
    const char *name;
    /**
     * Name of the frame's module, NULL if it has none. It lives as long as the error.
     */
    const char *module;
} wb_frame;

/**
 * Settings of an engine. Set all of it to zero first (`wb_config config = {0};`): zero is each setting's default, and a later
 * version may have more of them.
 */
typedef struct wb_config {
    /**
     * Bytes at the end of each native stack that wasm code leaves to the C functions it calls: a wasm function that would reach into
     * them traps with WB_TRAP_STACK_OVERFLOW. At most a quarter of a stack is reserved. 0 is the default, 256 KiB.
     */
    size_t stack_reserve;
    /**
     * Bytes that the collected heap (structs, arrays and exceptions of WebAssembly) of apps that are linked together may have: an app that would
     * need more traps with WB_TRAP_ALLOCATION_TOO_LARGE. 0 is the default, 1 GiB.
     */
    uint64_t gc_heap_bytes;
} wb_config;

/**
 * How much the compiler tries: WB_OPTIMISE and its kin.
 */
typedef uint32_t wb_optlevel;

/**
 * How a module is compiled. Set all of it to zero first (`wb_compile_config config = {0};`): zero is each setting's default, and a later
 * version may have more of them.
 */
typedef struct wb_compile_config {
    /**
     * WB_OPTIMISE, WB_OPTIMISE_NOTHING, WB_OPTIMISE_LITTLE or WB_OPTIMISE_SIZE
     */
    wb_optlevel opt_level;
    /**
     * Code of WebAssembly's deterministic profile, which computes the same on every machine: canonical NaNs, and relaxed vector instructions that do not
     * depend on the processor.
     */
    bool deterministic;
    /**
     * Without the instructions that keep a processor which runs ahead of a comparison from reading what is out of bounds.
     */
    bool no_spectre_mitigations;
    /**
     * Bytes of address space that each 32-bit memory reserves. Less than the default, 8 GiB and a guard, costs a comparison for each access.
     */
    uint64_t memory_reservation;
} wb_compile_config;

/**
 * A C function pointer of any type. Cast it to the type it has before calling it.
 */
typedef void (*wb_fn)(void);

/**
 * The type of a value: one of WB_I32, WB_I64, WB_F32, WB_F64, WB_EXTERNREF.
 */
typedef uint32_t wb_valkind;

/**
 * A WebAssembly value's bits: which member holds it is said by `wb_val.kind`.
 */
typedef union wb_val_of {
    /**
     * of WB_I32
     */
    int32_t i32;
    /**
     * of WB_I64
     */
    int64_t i64;
    /**
     * of WB_F32
     */
    float f32;
    /**
     * of WB_F64
     */
    double f64;
    /**
     * of WB_EXTERNREF
     */
    void *ref;
} wb_val_of;

/**
 * A WebAssembly value. `wb_i32(17)` and its like, at the end of this header, make one.
 */
typedef struct wb_val {
    /**
     * Its type.
     */
    wb_valkind kind;
    /**
     * Its bits.
     */
    wb_val_of of;
} wb_val;

/**
 * What happens to C when a callback fails.
 */
typedef uint32_t wb_ontrap;

/**
 * What happens to a call that arrives on another thread than the instance's.
 */
typedef uint32_t wb_onthread;

/**
 * What happens to a call while an error of the app waits to be taken.
 */
typedef uint32_t wb_whilepending;

/**
 * Settings of a callback. Set all of it to zero first (`wb_callback_options options = {0};`): zero is each setting's default, and a later
 * version may have more of them.
 *
 * A callback answers with its default value when it cannot run the app's function to its end: because the app trapped, is gone, has an error
 * that nobody has taken, or belongs to another thread. At most one of the two defaults may be set.
 */
typedef struct wb_callback_options {
    /**
     * The default value of a result that is an integer or a pointer.
     */
    int64_t default_int;
    /**
     * The default value of a result that is `float` or `double`.
     */
    double default_float;
    /**
     * What happens to C when the app's function traps, or a value does not cross: one of WB_ON_TRAP_RETURN, which is 0, WB_ON_TRAP_ABORT,
     * WB_ON_TRAP_UNWIND.
     */
    wb_ontrap on_trap;
    /**
     * What a call does that arrives on another thread than the instance's: one of WB_ON_THREAD_REFUSE, which is 0, WB_ON_THREAD_WAIT, WB_ON_THREAD_QUEUE.
     */
    wb_onthread on_thread;
    /**
     * With WB_ON_THREAD_WAIT: for how many milliseconds a caller waits at most; 0 for as long as it takes.
     */
    uint32_t wait_ms;
    /**
     * What a call does while an error of the app waits to be taken: one of WB_WHILE_PENDING_DEFAULT, which is 0, WB_WHILE_PENDING_RUN.
     */
    wb_whilepending while_pending;
} wb_callback_options;

/**
 * A window, as it is now.
 */
typedef struct wb_window {
    /**
     * Where the app has it.
     */
    uint64_t guest_addr;
    /**
     * Where the host has it; NULL if it was mapped from a file that the host has not mapped.
     */
    void *ptr;
    /**
     * Its length in bytes.
     */
    size_t len;
    /**
     * WB_READ, or WB_READ | WB_WRITE.
     */
    uint32_t rights;
    /**
     * How it came to be visible.
     */
    wb_windowmode mode;
} wb_window;

/**
 * How often data of `[window]` parameters was shown to callbacks of an app, and in which way.
 */
typedef struct wb_window_counts {
    /**
     * It was visible anyway: in the app's memory, in a window, or in a region that it has.
     */
    uint64_t visible;
    /**
     * It was open yet, from a callback before.
     */
    uint64_t cached;
    /**
     * It was opened or mapped for the callback.
     */
    uint64_t mapped;
    /**
     * It was copied: there are no whole pages of shared memory that could be mapped, and no region that the app was granted.
     */
    uint64_t copied;
} wb_window_counts;

/**
 * A standard stream: WB_WASI_STDIN, WB_WASI_STDOUT or WB_WASI_STDERR.
 */
typedef uint32_t wb_wasi_stream;

/**
 * 32-bit integer: `of.i32`
 */
#define WB_I32 0

/**
 * 64-bit integer: `of.i64`
 */
#define WB_I64 1

/**
 * 32-bit float: `of.f32`
 */
#define WB_F32 2

/**
 * 64-bit float: `of.f64`
 */
#define WB_F64 3

/**
 * A value of the host's that the app can only hand back, or NULL: `of.ref`. One that stands for an object (`wb_handle_externref`) is not the object's address:
 * `wb_externref_object` gives that.
 */
#define WB_EXTERNREF 4

/**
 * The code is to be fast.
 */
#define WB_OPTIMISE 0

/**
 * The compiler is to be as fast as can be: nothing is optimised, and registers are given out in one pass.
 */
#define WB_OPTIMISE_NOTHING 1

/**
 * The compiler is to be fast: nothing is optimised, but registers are given out with care.
 */
#define WB_OPTIMISE_LITTLE 2

/**
 * The code is to be fast, and the shorter of two that are equally fast.
 */
#define WB_OPTIMISE_SIZE 3

/**
 * C gets the default value and goes on. The error comes out of the app's call of the C library, or waits for `wb_instance_take_error`.
 */
#define WB_ON_TRAP_RETURN 0

/**
 * The error is printed to stderr with a backtrace through C and the app, and the process aborts: a handler of SIGABRT sees it.
 */
#define WB_ON_TRAP_ABORT 1

/**
 * The C functions between the app's call of the C library and the callback are skipped, as by a `longjmp`, if the prototype of what the app has
 * called ends with `[unwind]`. Elsewhere, and where the app has not called C at all, as WB_ON_TRAP_RETURN.
 */
#define WB_ON_TRAP_UNWIND 2

/**
 * It gets the default value.
 */
#define WB_ON_THREAD_REFUSE 0

/**
 * It waits until the instance's thread has made it: in `wb_instance_poll`, or when a `wb_instance_call` that is not inside of another one returns. A caller for
 * which that thread waits, by callbacks that wait, is refused; that it waits in another way cannot be seen, and a limit (`wait_ms`) ends it.
 */
#define WB_ON_THREAD_WAIT 1

/**
 * It gets the default value at once. Its arguments are copied, with texts and `[in: n]` data, and the instance's thread makes the call in `wb_instance_poll`. A prototype
 * with a parameter that cannot be copied is refused with WB_ERROR_PROTOTYPE.
 */
#define WB_ON_THREAD_QUEUE 2

/**
 * It gets the default value.
 */
#define WB_WHILE_PENDING_DEFAULT 0

/**
 * The app's function runs all the same: to free what C gives back, for instance.
 */
#define WB_WHILE_PENDING_RUN 1

/**
 * The standard input.
 */
#define WB_WASI_STDIN 0

/**
 * The standard output.
 */
#define WB_WASI_STDOUT 1

/**
 * The standard error.
 */
#define WB_WASI_STDERR 2

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * What sort of failure an error is. NULL is WB_ERROR_INVALID_ARGUMENT.
 */
wb_errorkind wb_error_kind(const wb_error *error);

/**
 * What was found, what was expected, what to do; without the backtrace, and without a newline at the end. It lives as long as the
 * error. NULL is an empty text.
 */
const char *wb_error_message(const wb_error *error);

/**
 * How the app was stopped; WB_TRAP_NONE if the error is of another kind than WB_ERROR_TRAP, or NULL.
 */
wb_trapcode wb_error_trap_code(const wb_error *error);

/**
 * Whether the app has ended itself (WB_TRAP_EXITED); the status that it ended with is then written to `*status`, which may be NULL. False for
 * every other error, and for NULL; `*status` is then as it was.
 */
bool wb_error_exit_status(const wb_error *error,
                          int32_t *status);

/**
 * A trap's backtrace for people, innermost frame first, each on a line of its own that ends with a newline. It lives as
 * long as the error. Empty if there is none, and for NULL.
 */
const char *wb_error_backtrace(const wb_error *error);

/**
 * How many frames a trap's backtrace has; 0 if there is none, and for NULL.
 */
size_t wb_error_frame_count(const wb_error *error);

/**
 * Writes a frame of a trap's backtrace to `frame`.
 *
 * `index` counts from 0, the innermost frame; `wb_error_frame_count` says how many there are. The frame's texts live as long as
 * `error`.
 */
wb_error *wb_error_frame(const wb_error *error,
                         size_t index,
                         wb_frame *frame);

/**
 * Ends an error. NULL does nothing.
 */
void wb_error_delete(wb_error *error);

/**
 * wasmbridge's version, such as "0.1.0". It lives for ever.
 */
const char *wb_version(void);

/**
 * Makes an engine.
 *
 * The first one in a process installs a handler for SIGSEGV, SIGBUS, SIGILL and SIGFPE, for good. Signals that wasm code did not
 * raise go on to the handlers that were there before. A host that installs handlers of its own does it before, or hands on what is
 * not its own.
 *
 * `config` may be NULL, for the defaults; it is only read. `*engine` is the caller's, who ends it with `wb_engine_delete`. Any thread.
 */
wb_error *wb_engine_new(const wb_config *config,
                        wb_engine **engine);

/**
 * Ends an engine, once its modules, linkers and instances are ended too: the order does not matter. NULL does nothing.
 */
void wb_engine_delete(wb_engine *engine);

/**
 * Loads the artifact in a file, as `wasmbridge compile` makes it, by mapping the file.
 *
 * The file may be removed or replaced by another of the same name while the module lives, but not written to. `*module` is the
 * caller's, who ends it with `wb_module_delete`. Any thread.
 *
 * It is read through to find damage. When the engine opens the same file again, and it has not changed since, that is not done again, which takes a third of the time.
 *
 * Fails with WB_ERROR_OS if the file cannot be read, with WB_ERROR_ARTIFACT if it is no artifact, is damaged, or was made for another
 * version or machine.
 */
wb_error *wb_module_open(const wb_engine *engine,
                         const char *path,
                         wb_module **module);

/**
 * Loads an artifact from memory: `len` bytes at `bytes`, which are copied.
 *
 * `*module` is the caller's, who ends it with `wb_module_delete`. Any thread. Fails as `wb_module_open` does.
 */
wb_error *wb_module_load(const wb_engine *engine, const void *bytes, size_t len, wb_module **module);

/**
 * Compiles a WebAssembly module, `len` bytes at `wasm` in the binary format, and loads it: for development, and for apps that arrive
 * as WebAssembly. The code is for this machine's processor. `config` may be NULL, for the defaults; it is only read.
 *
 * It takes about a second for each megabyte, on all cores; what is compiled once, with `wasmbridge compile`, loads in microseconds.
 * `*module` is the caller's, who ends it with `wb_module_delete`. Any thread.
 *
 * Fails with WB_ERROR_COMPILE if the module is not valid, or uses what is not supported, or if the settings make no sense. In a library that was
 * built without the compiler it always fails.
 */
wb_error *wb_module_compile(const wb_engine *engine,
                            const void *wasm,
                            size_t len,
                            const wb_compile_config *config,
                            wb_module **module);

/**
 * Ends a module; its instances live on. NULL does nothing.
 */
void wb_module_delete(wb_module *module);

/**
 * Makes a linker, without definitions.
 *
 * `*linker` is the caller's, who ends it with `wb_linker_delete`. Any thread.
 */
wb_error *wb_linker_new(const wb_engine *engine, wb_linker **linker);

/**
 * Makes `name` a name for the C type that `type` spells, such as `"unsigned long long"` or `"int (*)(void *, int)"`, in the prototypes that
 * this linker is given from then on. The names of C's own headers (`size_t`, `uint8_t`, ...) are known.
 *
 * Both are only read. Fails with WB_ERROR_PROTOTYPE if `type` is no C type or `name` no identifier.
 */
wb_error *wb_linker_typedef(wb_linker *linker,
                            const char *name,
                            const char *type);

/**
 * Defines a C function that apps may import: under the name in `prototype`, from the module `module` (clang's apps import from
 * `"env"`, where they do not say otherwise).
 *
 * The app calls it directly: its arguments are converted and checked as the prototype says, and a function pointer among them
 * becomes a C function that calls the app. A value that is refused is a trap of the app (WB_TRAP_CROSSING); the function is not
 * called then. A definition of the same name replaces the one before, for later instances.
 *
 * `module` and `prototype` are only read. `function` must stay callable as long as there are instances made with this linker, and must be
 * what the prototype says. It is called on the thread that runs the app, and may call the app's callbacks and exports.
 *
 * Fails with WB_ERROR_PROTOTYPE if the prototype cannot be parsed, has no name, or is not supported: the message says where.
 */
wb_error *wb_linker_define(wb_linker *linker,
                           const char *module,
                           const char *prototype,
                           wb_fn function);

/**
 * Defines all exports of an instance under the module name `name`, for other apps to import: functions, memories, tables, globals.
 *
 * Apps that share an instance's exports belong to one thread together, and a trap stops them together. The instance may be deleted before
 * those that import from it. `name` is only read. On the instance's thread.
 */
wb_error *wb_linker_define_instance(wb_linker *linker,
                                    const char *name,
                                    const wb_instance *instance);

/**
 * Makes an instance of a module: a running copy, with its own memory. Its start function and its `_initialize`, where it has them, have
 * run when this returns.
 *
 * `*instance` is the caller's, who ends it with `wb_instance_delete`. It belongs to the calling thread. The linker may be deleted or
 * changed afterwards.
 *
 * Fails with WB_ERROR_LINK if the module imports what is not defined, or is defined with another type: the message names the import
 * and both types; with WB_ERROR_TRAP if the start function traps; with WB_ERROR_LIMIT if there is no memory or address space for it.
 */
wb_error *wb_linker_instantiate(const wb_linker *linker,
                                const wb_module *module,
                                wb_instance **instance);

/**
 * Ends a linker; the instances made with it live on. NULL does nothing.
 */
void wb_linker_delete(wb_linker *linker);

/**
 * Calls the function that the app exports as `name`.
 *
 * `args` are `nargs` values, of the types of the function's parameters; `results` has room for `nresults` values, as many as the
 * function has results. Each may be NULL if its number is 0. `name` and `args` are only read.
 *
 * On an error nothing is written to `results`. WB_ERROR_TRAP: the app was stopped; the error has a backtrace, and the app's memory is as
 * it was then. The instance can be used on, as far as the app's own data can. WB_ERROR_NOT_FOUND: there is no function of this name.
 * WB_ERROR_INVALID_ARGUMENT: number or types of values do not fit. WB_ERROR_BUSY: another thread's instance, or one with an error that
 * nobody has taken (`wb_instance_take_error`).
 *
 * On the instance's thread; also from inside C functions that the app calls. An exception of C++ that a function called by the
 * app throws passes through, as it would through C; a `longjmp` out of this call is not allowed.
 */
wb_error *wb_instance_call(const wb_instance *instance,
                           const char *name,
                           const wb_val *args,
                           size_t nargs,
                           wb_val *results,
                           size_t nresults);

/**
 * Makes a C function of a function that the app exports: the one with the name in `prototype`.
 *
 * `*callback` is a C function of the type that the prototype says: cast it to that. The same function and prototype always give the
 * same address. `options` may be NULL, for the defaults. Options that are not the default hold from then on also for an address that there was
 * before, whether the host has made it or the app has passed the function to C; the others stay as they are there. All is only read.
 *
 * The callback is called on the instance's thread, from C that the app called or that the host called; elsewhere it does what `options` say
 * (`on_thread`). Arguments are converted and checked as the prototype says; a pointer that is not into the app's memory is refused, and so is every value
 * that does not fit: the app then has an error, and the callback answers with its default value. A `longjmp` across it is fine.
 *
 * It may be called for as long as the process lives: when the instance is gone it answers with its default value. `wb_callback_delete`
 * ends it earlier.
 *
 * Fails with WB_ERROR_PROTOTYPE if the prototype cannot be parsed or is not supported, with WB_ERROR_NOT_FOUND if the app exports no
 * function of this name, with WB_ERROR_LINK if the function has another type: the message has both.
 */
wb_error *wb_callback(const wb_instance *instance,
                      const char *prototype,
                      const wb_callback_options *options,
                      wb_fn *callback);

/**
 * Makes a C function of the function at `index` of the app's first table: of a function pointer that the app gave as a number.
 *
 * As `wb_callback` in everything else; the prototype needs no name. Fails with WB_ERROR_NOT_FOUND if the table has no function at this index.
 */
wb_error *wb_callback_at(const wb_instance *instance,
                         uint32_t index,
                         const char *prototype,
                         const wb_callback_options *options,
                         wb_fn *callback);

/**
 * Writes to `*count` how often a callback has answered with its default value. Any thread.
 *
 * Fails with WB_ERROR_NOT_FOUND if `callback` is not the address of a callback.
 */
wb_error *wb_callback_refused(wb_fn callback, uint64_t *count);

/**
 * Ends a callback: nobody may call it from now on, and its address may come back as another callback of the same prototype.
 *
 * On the instance's thread, while the callback is not running; on any thread once the instance is gone. NULL does nothing. Fails with
 * WB_ERROR_NOT_FOUND if `callback` is not the address of a callback.
 */
wb_error *wb_callback_delete(wb_fn callback);

/**
 * Where the app's memory is: its first byte in `*base`, its length in bytes in `*len`. The address never changes as long as the
 * instance lives; the length grows when the app asks for more.
 *
 * `base` and `len` may be NULL where one of them is not wanted. Writing to the memory is fine whenever the app is not running on another
 * thread. Fails with WB_ERROR_NOT_FOUND if the app has no memory. On the instance's thread.
 */
wb_error *wb_instance_memory(const wb_instance *instance,
                             void **base,
                             size_t *len);

/**
 * The native address of `len` bytes of the app's memory that begin at the app's address `guest_addr`, in `*ptr`.
 *
 * It stays good as long as the instance lives. Fails with WB_ERROR_INVALID_ARGUMENT if not all of the bytes lie in the app's memory. On the
 * instance's thread.
 */
wb_error *wb_native_ptr(const wb_instance *instance,
                        uint64_t guest_addr,
                        size_t len,
                        void **ptr);

/**
 * The app's address of a native address in its memory, in `*guest_addr`. NULL is 0, as it is for the app.
 *
 * Fails with WB_ERROR_INVALID_ARGUMENT if `ptr` does not point into the app's memory. On the instance's thread.
 */
wb_error *wb_guest_addr(const wb_instance *instance,
                        const void *ptr,
                        uint64_t *guest_addr);

/**
 * Takes the error that a callback of the instance has left: the C library that called the callback got the default value and knows
 * nothing of it. NULL if there is none.
 *
 * Until it is taken, callbacks of the instance answer with their default values, and `wb_instance_call` fails with WB_ERROR_BUSY. Where
 * the app itself called the C library, the error comes out of that call as a trap instead, and there is none to take. The error is the
 * caller's, who ends it with `wb_error_delete`. For an `instance` that is NULL it is an error of the kind WB_ERROR_INVALID_ARGUMENT. On the
 * instance's thread.
 */
wb_error *wb_instance_take_error(const wb_instance *instance);

/**
 * Makes the calling thread the one that the instance belongs to, with all instances that it shares exports with.
 *
 * The thread it belonged to must not be running it, and must not use it afterwards. Callbacks of it may be called on other threads meanwhile. Fails with
 * WB_ERROR_BUSY if it is running. It takes a tenth of a millisecond if the thread's stack is above the former one's.
 */
wb_error *wb_instance_attach(const wb_instance *instance);

/**
 * Ends an instance. Its callbacks stay callable and answer with their default values. NULL does nothing.
 *
 * Not while the app runs: not from inside a C function that it calls, or a callback. Callbacks of it may be called on other threads meanwhile; calls that wait or
 * are queued get their default values. On the instance's thread.
 */
void wb_instance_delete(wb_instance *instance);

/**
 * The value of the global that the app exports as `name`, in `*value`.
 *
 * Fails with WB_ERROR_NOT_FOUND if there is no such global, with WB_ERROR_INVALID_ARGUMENT if `wb_val` has no kind for what it holds. On the
 * instance's thread.
 */
wb_error *wb_instance_global(const wb_instance *instance,
                             const char *name,
                             wb_val *value);

/**
 * Sets the mutable global that the app exports as `name`. `value` is only read.
 *
 * Fails with WB_ERROR_NOT_FOUND if there is no such global, with WB_ERROR_INVALID_ARGUMENT if it is immutable or of another type. On the instance's
 * thread.
 */
wb_error *wb_instance_set_global(const wb_instance *instance,
                                 const char *name,
                                 const wb_val *value);

/**
 * How many elements the table has that the app exports as `name`, in `*len`.
 *
 * Fails with WB_ERROR_NOT_FOUND if there is no such table. On the instance's thread.
 */
wb_error *wb_instance_table_len(const wb_instance *instance, const char *name, uint64_t *len);

/**
 * The element at `index` of the table that the app exports as `name`, in `*value`: an externref. (A function is made callable by `wb_callback_at`.)
 *
 * Fails with WB_ERROR_NOT_FOUND if there is no such table, with WB_ERROR_INVALID_ARGUMENT if it has no such element or its elements are not externrefs. On
 * the instance's thread.
 */
wb_error *wb_instance_table_get(const wb_instance *instance,
                                const char *name,
                                uint64_t index,
                                wb_val *value);

/**
 * Sets the element at `index` of the table of externrefs that the app exports as `name`. `value` is only read.
 *
 * Fails as `wb_instance_table_get` does, and with WB_ERROR_INVALID_ARGUMENT if the value is of another type than the elements. On the instance's thread.
 */
wb_error *wb_instance_table_set(const wb_instance *instance,
                                const char *name,
                                uint64_t index,
                                const wb_val *value);

/**
 * Grows the table of externrefs that the app exports as `name` by `delta` elements, each of this value, which is only read. `*old_len` is how many it had; `old_len` may be NULL.
 *
 * Fails with WB_ERROR_NOT_FOUND if there is no such table, with WB_ERROR_INVALID_ARGUMENT if the value is of another type than the elements, with WB_ERROR_LIMIT if the
 * table may not or cannot be as large. On the instance's thread.
 */
wb_error *wb_instance_table_grow(const wb_instance *instance,
                                 const char *name,
                                 uint64_t delta,
                                 const wb_val *value,
                                 uint64_t *old_len);

/**
 * Collects what the app does not reach any more: its own structs, arrays and exceptions, and objects that it was given as externrefs (`[externref]`) and has let go of, whose
 * destructors are called then (`wb_linker_handle_destructor`). It is done without being asked when enough has been made or given.
 *
 * Fails with WB_ERROR_BUSY on another thread than the instance's, or while an error of the app has not been taken. While a call of the app is running, the
 * destructors wait until it has returned.
 */
wb_error *wb_instance_collect(const wb_instance *instance);

/**
 * Makes a tag, for exceptions with `count` values of these kinds. Apps import it if a linker defines it (`wb_linker_define_tag`); in C they are compiled with
 * `-fwasm-exceptions`, and in the text format it is `(import "env" "NAME" (tag (param ...)))`.
 *
 * `name` is what messages call it; it and `kinds` are only read. `kinds` may be NULL if `count` is 0. `*tag` is the caller's, who ends it with `wb_tag_delete`. Any thread.
 */
wb_error *wb_tag_new(const wb_engine *engine,
                     const char *name,
                     const wb_valkind *kinds,
                     size_t count,
                     wb_tag **tag);

/**
 * The tag that the app exports as `name`, in `*tag`, which is the caller's, who ends it with `wb_tag_delete`: to tell its exceptions from others, to throw
 * such, or to give it to other apps. (What clang makes of C++ has the tag `__cpp_exception`; `-Wl,--export=__cpp_exception` exports it.)
 *
 * Fails with WB_ERROR_NOT_FOUND if there is no such tag. On the instance's thread.
 */
wb_error *wb_instance_tag(const wb_instance *instance,
                          const char *name,
                          wb_tag **tag);

/**
 * Defines a tag that apps may import as `name` from the module `module`. All that import it throw the same exceptions, and catch each other's.
 *
 * The texts are only read; the tag may be deleted afterwards. A definition of the same name replaces the one before, for later instances. Fails with
 * WB_ERROR_INVALID_ARGUMENT if the tag is another engine's.
 */
wb_error *wb_linker_define_tag(wb_linker *linker,
                               const char *module,
                               const char *name,
                               const wb_tag *tag);

/**
 * Whether two tags are the same: one was got or made once, and is what both stand for. Two that are NULL are; one that is NULL and one that is not are not.
 */
bool wb_tag_is_same(const wb_tag *a,
                    const wb_tag *b);

/**
 * Ends a tag; apps that import it, and exceptions, have it on. NULL does nothing.
 */
void wb_tag_delete(wb_tag *tag);

/**
 * Has the C function throw that the app has called, and which calls this: an exception with this tag and these `count` values, which are only read. `values` may be
 * NULL if `count` is 0.
 *
 * It happens when the function returns, which it should do next: no frame of C is skipped, and what the function returns is dropped. The app's innermost `try_table` (in C++,
 * `catch`) around the call that takes it goes on. If none does, the call of the app fails with WB_TRAP_UNCAUGHT_EXCEPTION, as with an exception of its own. Until then the
 * app's callbacks answer with their default values, except where their policy lets them run while an error waits; `wb_instance_take_error` takes the exception back.
 * What the function has written to memory of the app's stays; what it has written to copies that were made for the call (of `[out]` arguments that had to be converted) is dropped.
 *
 * It works in every function that was defined by a prototype but `[leaf]` ones, and costs calls nothing. Between the app's call and this function there may be other frames of C, but none of
 * an app's. Among linked apps, it may be a function that another one of them has called.
 *
 * Fails with WB_ERROR_INVALID_ARGUMENT if the values are not what the tag says or the tag is another engine's, and if there is nobody to throw to: no C function that the app has
 * called is running, or it is a `[leaf]` one or was compiled without unwind tables (`-fno-asynchronous-unwind-tables`). Fails with WB_ERROR_BUSY on another thread than the
 * app's, and if another error of the app has not been taken yet. Then nothing is thrown.
 */
wb_error *wb_instance_throw(const wb_instance *instance,
                            const wb_tag *tag,
                            const wb_val *values,
                            size_t count);

/**
 * Throws on what an app has thrown and nobody in it has caught: what `wb_instance_call` or `wb_instance_take_error` has given as an error of the trap WB_TRAP_UNCAUGHT_EXCEPTION.
 * So an exception passes a C function that an app calls and which calls an app. The error is only read, and still the caller's.
 *
 * As `wb_instance_throw`; fails also with WB_ERROR_INVALID_ARGUMENT if the error has no exception, or one with an object of an app's that is not linked to `instance`.
 */
wb_error *wb_instance_throw_error(const wb_instance *instance,
                                  const wb_error *error);

/**
 * The tag of the exception that nobody has caught, if that is what an error is (WB_TRAP_UNCAUGHT_EXCEPTION). It lives as long as the error. NULL for every other error, and for NULL.
 */
const wb_tag *wb_error_tag(const wb_error *error);

/**
 * How many values the exception of an error has; 0 if it has no exception, and for NULL.
 */
size_t wb_error_value_count(const wb_error *error);

/**
 * Writes a value of the exception of an error to `value`. `index` counts from 0; `wb_error_value_count` says how many there are.
 *
 * Fails with WB_ERROR_INVALID_ARGUMENT if there is no such value, or `wb_val` has no kind for it.
 */
wb_error *wb_error_value(const wb_error *error,
                         size_t index,
                         wb_val *value);

/**
 * Makes the calls of callbacks that other threads have left for an app's thread (`[thread: wait]`, `[thread: queue]`): as many as there are now, in the order
 * in which they were left. For this instance, and those that it shares exports with.
 *
 * If there is none, it waits for one: `timeout_ms` milliseconds at most, not at all if that is 0, as long as it takes if it is negative. How many calls it has
 * made is written to `*calls`, which may be NULL; after an error nothing is.
 *
 * Fails with the error of a call that failed, where C that no app had called would have left it to `wb_instance_take_error`; calls may be left then: poll
 * again. Fails with WB_ERROR_BUSY for another thread's instance, or one with an error that nobody has taken.
 *
 * On the instance's thread; also from inside C functions that the app calls, such as the handlers of an event loop. An exception of C++ that a function
 * called by the app throws passes through; a `longjmp` out of this call is not allowed.
 */
wb_error *wb_instance_poll(const wb_instance *instance,
                           int32_t timeout_ms,
                           size_t *calls);

/**
 * Has `notify` called with `data` whenever another thread has left a call for the instance, on that thread: to wake the one that is to call
 * `wb_instance_poll`, by `uv_async_send` or a write to an `eventfd`, for instance. NULL for `notify` for nothing of the kind.
 *
 * When this returns, the former function is not running and is not called any more; the same holds after `wb_instance_delete`. `notify` may be called
 * by several threads at once. It must not call functions of the instance's, nor wait for its thread. `data` is not touched. On the instance's thread.
 */
wb_error *wb_instance_set_notify(const wb_instance *instance,
                                 void (*notify)(void *data),
                                 void *data);

/**
 * Has at most so many calls kept for `[thread: queue]`; 1024 if nothing is said. Further ones get the default value (WB_REFUSED_QUEUE_FULL). On the
 * instance's thread.
 */
wb_error *wb_instance_set_queue_limit(const wb_instance *instance,
                                      size_t calls);

/**
 * Writes to `*why` why a callback answered with its default value last. Any thread.
 *
 * Fails with WB_ERROR_NOT_FOUND if `callback` is not the address of a callback.
 */
wb_error *wb_callback_last_refusal(wb_fn callback, wb_refusal *why);

/**
 * Makes every object of the type `derived *` one of the type `base *` too, for apps that are instantiated with this linker from then on: a
 * handle of it passes where a prototype has `base *x[handle]`, as libraries with kinds of handles want it (libuv's `uv_timer_t` is a
 * `uv_handle_t`). One object has one handle, as either type.
 *
 * Both are names as prototypes have them, without `struct`; they are only read. A type may have one base, which may have one itself. Fails with
 * WB_ERROR_INVALID_ARGUMENT if `derived` has another base, or is a base of `base`, or if a name begins with `const`: what may be read of one may be read of the other anyway.
 */
wb_error *wb_linker_handle_base(wb_linker *linker,
                                const char *derived,
                                const char *base);

/**
 * Lets `destructor` be called with each object of the type `type *` that an app still has a handle of when `wb_instance_delete` ends it, and with `data`:
 * statements that an app has not finalised, for instance. It holds for apps that are instantiated with this linker from then on.
 *
 * The newest object goes first, and the app's callbacks can still be called meanwhile. Left out are objects whose handles have ended before: because they
 * were lent to a callback, the prototype of a call said that it ends them (`[handle, scope: call]`), or by `wb_handle_end`. A type without a destructor has that
 * of its base. `type` is a name as prototypes have it, and only read; `data` is not touched. NULL for `destructor` is WB_ERROR_INVALID_ARGUMENT.
 */
wb_error *wb_linker_handle_destructor(wb_linker *linker,
                                      const char *type,
                                      void (*destructor)(void *object, void *data),
                                      void *data);

/**
 * Gives an app a handle of an object of the type `type *`, in `*handle`: the number that the app passes where a prototype has `[handle]`.
 *
 * It lasts until `wb_handle_end`, or as long as the instance; the object must live as long. An object that the app knows already has the same
 * handle. (Handles that come with a callback's arguments end with the callback, if the app did not have them before.) `type` is a name as
 * prototypes have it, without `struct`, and only read. With `const T` the app may pass the handle only where a prototype has `const T *`, unless it is given the
 * object as a `T *`, too. `object` is not touched. Fails with WB_ERROR_INVALID_ARGUMENT if `object` is NULL, with WB_ERROR_LIMIT if the app has a
 * million handles. On the instance's thread.
 */
wb_error *wb_handle_new(const wb_instance *instance,
                        const char *type,
                        const void *object,
                        uint32_t *handle);

/**
 * The object of the type `type *` that an app's handle stands for, in `*object`: what a C function with `[handle]` in its prototype would get. 0 is
 * NULL.
 *
 * Fails with WB_ERROR_INVALID_ARGUMENT if it is not a handle of this app, is stale, or is one of another type: the message says which. On the
 * instance's thread.
 */
wb_error *wb_handle_object(const wb_instance *instance,
                           uint32_t handle,
                           const char *type,
                           void **object);

/**
 * Gives the app `to` a handle of the object that `handle` stands for in the app `from`, in `*granted`: the object is of the type `type *`, and both apps know it
 * then. 0 is NULL, which has no handle. Handles of one app mean nothing to another: this is the only way, and each of the two ends by itself. With `const T` for a
 * type, the other app may only read the object, whatever this one may do.
 *
 * `type` is only read. Fails with WB_ERROR_INVALID_ARGUMENT if `handle` is not a handle of `from`, is stale, is one of another type, or if `from` may only read the
 * object and `type` is not `const`: the message says which; or if it is 0. Both instances belong to the calling thread.
 */
wb_error *wb_handle_grant(const wb_instance *from,
                          uint32_t handle,
                          const char *type,
                          const wb_instance *to,
                          uint32_t *granted);

/**
 * An externref that stands for an object of the type `type *`, in `*externref`: to be passed to the app, or put into its globals and tables. A prototype with
 * `type *x[externref]` gets the object back.
 *
 * In everything else as `wb_handle_new`: the object has one handle, in an externref or as a number, which the app has until `wb_handle_end`.
 */
wb_error *wb_handle_externref(const wb_instance *instance,
                              const char *type,
                              const void *object,
                              wb_val *externref);

/**
 * The object of the type `type *` that an externref of the app's stands for, in `*object`: what a C function with `[externref]` in its prototype would get. A null one is NULL.
 * `externref` is only read.
 *
 * Fails with WB_ERROR_INVALID_ARGUMENT if it is no externref, or stands for no object of this app's, for one that is gone, or of another type: the message
 * says which. On the instance's thread.
 */
wb_error *wb_externref_object(const wb_instance *instance,
                              const wb_val *externref,
                              const char *type,
                              void **object);

/**
 * Ends the handle that an app has of an object of the type `type *`, if it has one: call it before the object is freed. Wherever the app has kept the
 * handle, it is stale from then on: C functions are not called with it, the app traps instead.
 *
 * `object` is not touched, and may be NULL. On the instance's thread, also from inside C functions that the app calls.
 */
wb_error *wb_handle_end(const wb_instance *instance,
                        const char *type,
                        const void *object);

/**
 * Makes `len` bytes at `ptr` visible to the app, in place, and writes the address that the app has them at to `*guest_addr`.
 *
 * The app reads them, with WB_WRITE also writes them, with plain loads and stores until `wb_window_unmap` or until the instance is deleted; the
 * processor's memory management sees to its rights, and pages that nobody can access lie on both sides. Pointers to them are translated where
 * they cross: C's pointer becomes the app's, and the app's becomes the very pointer that C had.
 *
 * What is at `ptr` decides how (`wb_window_at` tells which it was):
 * - Memory that is mapped MAP_SHARED (a memfd, POSIX shared memory, a file, a frame buffer) is mapped once more.
 * - Private memory is adopted: its pages are moved, once and for good, into a file in memory that is mapped at their own address and in the window, so
 *   that every pointer to them stays good. No other thread may write to them during this call; after a `fork` the child shares them, also when the
 *   window is gone and a heap block that was adopted has been freed. Memory on a stack, in an app's memory or with code in it is not adopted.
 * - Where the data does not fill its pages, what shares them would be visible: that is refused, unless WB_EXPOSE_NEIGHBOURS is set.
 * - With WB_ALLOW_COPY whatever would be refused so far is copied.
 *
 * `flags` is WB_READ or WB_WRITE with any of WB_EXPOSE_NEIGHBOURS, WB_ALLOW_COPY, WB_NO_ADOPTION and WB_RIGHT_ALIGNED. `ptr` is not owned: unmap the window before
 * its memory is unmapped, freed or used for something else. An app that may write can change the bytes at any moment: take a copy before you
 * trust them.
 *
 * Fails with WB_ERROR_INVALID_ARGUMENT if `len` is 0, if not all of the bytes are there and allow to the host what the app is to do, if some
 * are in another window of the app, or if the data cannot be shown as `flags` say: the message has the reason. With WB_ERROR_LIMIT if the
 * app's window area (the top of its 4 GiB) or the kernel's number of mappings (vm.max_map_count) is used up. On an error nothing has changed.
 * On the instance's thread; also from inside C functions that the app calls, and callbacks: it takes effect at once.
 */
wb_error *wb_window_map(const wb_instance *instance,
                        void *ptr,
                        size_t len,
                        uint32_t flags,
                        uint64_t *guest_addr);

/**
 * Makes `len` bytes of an open file visible to the app, from `offset` on, which is a multiple of the page size: also where the host has not mapped
 * them, and for devices whose mappings cannot be mapped a second time.
 *
 * `fd` is only used during the call. `ptr` is where the host has mapped the same bytes itself, so that pointers are translated as in other windows,
 * or NULL. `flags` is WB_READ or WB_WRITE. A file that is cut while it is visible gives the app a trap where it has no bytes any more.
 *
 * Fails with WB_ERROR_INVALID_ARGUMENT if the file is shorter, or has more bytes in the last page than `len` says; else as `wb_window_map`. On
 * the instance's thread.
 */
wb_error *wb_window_map_file(const wb_instance *instance,
                             int fd,
                             uint64_t offset,
                             size_t len,
                             uint32_t flags,
                             void *ptr,
                             uint64_t *guest_addr);

/**
 * Ends the window that begins at the app's address `guest_addr`. When this returns no access of the app's to it succeeds, on any thread; a copy
 * that the app may write to has been copied back.
 *
 * C functions that the app has called with pointers into the window, and that are running yet, are not stopped. A region that was granted is
 * revoked. Fails with WB_ERROR_NOT_FOUND if no window begins there: it may have been unmapped before. Any thread, while the app runs too.
 */
wb_error *wb_window_unmap(const wb_instance *instance,
                          uint64_t guest_addr);

/**
 * Changes what the app may do in the window that begins at `guest_addr`: `flags` is WB_READ or WB_WRITE. It takes effect at once, in code that is
 * running too.
 *
 * Fails with WB_ERROR_NOT_FOUND if no window begins there, with WB_ERROR_INVALID_ARGUMENT if it cannot become writable: a file that was opened for
 * reading, or a copy that was made for reading. Any thread, while the app runs too.
 */
wb_error *wb_window_protect(const wb_instance *instance,
                            uint64_t guest_addr,
                            uint32_t flags);

/**
 * Copies the host's bytes into a window of the mode WB_WINDOW_COPIED that begins at `guest_addr`, whatever the app may do there. Other windows are
 * always up to date: nothing is done.
 *
 * Fails with WB_ERROR_NOT_FOUND if no window begins there. Any thread.
 */
wb_error *wb_window_copy_in(const wb_instance *instance,
                            uint64_t guest_addr);

/**
 * Copies what is in a window of the mode WB_WINDOW_COPIED that begins at `guest_addr` to the host's bytes, if the app may write to it. Nothing is
 * done for other windows.
 *
 * Fails with WB_ERROR_NOT_FOUND if no window begins there. Any thread.
 */
wb_error *wb_window_copy_out(const wb_instance *instance,
                             uint64_t guest_addr);

/**
 * The window that the app's address `guest_addr` lies in, in `*window`: among others how it came to be visible.
 *
 * Fails with WB_ERROR_NOT_FOUND if there is none. Any thread.
 */
wb_error *wb_window_at(const wb_instance *instance,
                       uint64_t guest_addr,
                       wb_window *window);

/**
 * Counts how data of `[window]` parameters was shown to callbacks of an app so far, in `*counts`. On the instance's thread.
 */
wb_error *wb_instance_window_counts(const wb_instance *instance,
                                    wb_window_counts *counts);

/**
 * Makes a region of `len` bytes, all zero, that no app has yet.
 *
 * `*region` is the caller's, who ends it with `wb_region_delete`. All regions of a process together have not quite 1 GiB, each with a page more
 * than it needs. Fails with WB_ERROR_INVALID_ARGUMENT if `len` is 0, with WB_ERROR_LIMIT if there is no room.
 */
wb_error *wb_region_new(size_t len,
                        wb_region **region);

/**
 * Where the host has a region: it may always read and write there. NULL for NULL.
 */
void *wb_region_ptr(const wb_region *region);

/**
 * Where every app that has a region has it. 0 for NULL.
 */
uint64_t wb_region_guest_addr(const wb_region *region);

/**
 * The length of a region in bytes. 0 for NULL.
 */
size_t wb_region_len(const wb_region *region);

/**
 * Gives a region to an app, or changes what an app that has it may do with it. It takes effect at once, in code that is running too.
 *
 * `flags` is WB_READ or WB_WRITE. With WB_IN_CALLBACKS the app sees it only in callbacks that have a `[window]` parameter which points into it.
 * Fails with WB_ERROR_LIMIT if a window of the app is at the region's address, or the app has no room for windows.
 */
wb_error *wb_region_grant(const wb_region *region,
                          const wb_instance *instance,
                          uint32_t flags);

/**
 * Takes a region from an app. When this returns no access of the app's to it succeeds, on any thread: the app traps, if it tries. An app that does
 * not have the region stays as it is.
 *
 * C functions that the app has called with pointers into the region, and that are running yet, are not stopped.
 */
wb_error *wb_region_revoke(const wb_region *region,
                           const wb_instance *instance);

/**
 * Takes a region from all apps that have it.
 */
wb_error *wb_region_revoke_all(const wb_region *region);

/**
 * Takes a region from the app `from` and gives it to the app `to`, with `flags` as for `wb_region_grant`. At no moment both have it.
 *
 * Fails with WB_ERROR_INVALID_ARGUMENT if `from` does not have it, else as `wb_region_grant`: then `from` has it as before.
 */
wb_error *wb_region_move(const wb_region *region,
                         const wb_instance *from,
                         const wb_instance *to,
                         uint32_t flags);

/**
 * What an app may do with a region, as the flags of `wb_region_grant`; 0 if it does not have it, and for NULL.
 */
uint32_t wb_region_rights(const wb_region *region,
                          const wb_instance *instance);

/**
 * Ends the host's use of a region. Apps that have it keep it; its memory goes when none has it any more. NULL does nothing.
 */
void wb_region_delete(wb_region *region);

/**
 * Makes an arena of `len` bytes: a region, and what is known of its pieces.
 *
 * `*arena` is the caller's, who ends it with `wb_arena_delete`. It has up to one piece for each 64 bytes (at least 1,024, at most 262,144), free
 * ones between others counted. Fails as `wb_region_new`.
 */
wb_error *wb_arena_new(size_t len,
                       wb_arena **arena);

/**
 * The region that an arena's pieces are in, to grant it to apps. It is borrowed: it lives as long as the arena. NULL for NULL.
 */
const wb_region *wb_arena_region(const wb_arena *arena);

/**
 * Allocates `len` bytes in an arena, as `malloc` does it: NULL if there is no room. They begin at a multiple of 16.
 */
void *wb_alloc(const wb_arena *arena,
               size_t len);

/**
 * Allocates `len` bytes in an arena at a multiple of `align`, a power of two: NULL if there is no room, or `align` is no power of two. Whole
 * pages (both a multiple of 4,096) can be shown to an app on their own, by `wb_window_map` or a `[window]` parameter.
 */
void *wb_alloc_aligned(const wb_arena *arena,
                       size_t align,
                       size_t len);

/**
 * Makes a piece of an arena `len` bytes long, as `realloc` does it: at another place if need be. NULL if there is no room, or `piece` is none of this arena's;
 * then the piece is as it was. A `piece` that is NULL is a new one.
 */
void *wb_realloc(const wb_arena *arena,
                 void *piece,
                 size_t len);

/**
 * The length of a piece of an arena, as it was asked for. 0 if it is none of this arena's.
 */
size_t wb_alloc_len(const wb_arena *arena, const void *piece);

/**
 * Gives a piece back to its arena. NULL is nothing to give back. False if `piece` is none of this arena's, or has been freed before: then nothing has happened.
 */
bool wb_free(const wb_arena *arena,
             void *piece);

/**
 * Ends an arena. Apps that have its region keep it. NULL does nothing.
 */
void wb_arena_delete(wb_arena *arena);

/**
 * Makes a configuration that gives a program nothing.
 *
 * `*config` is the caller's, who ends it with `wb_wasi_config_delete`. Any thread.
 */
wb_error *wb_wasi_config_new(wb_wasi_config **config);

/**
 * Adds an argument. The first one is the program's name, by convention. `arg` is only read.
 */
wb_error *wb_wasi_config_arg(wb_wasi_config *config, const char *arg);

/**
 * Sets a variable of the environment. Both texts are only read.
 */
wb_error *wb_wasi_config_env(wb_wasi_config *config, const char *name, const char *value);

/**
 * Gives the program the standard input, output and error of this process.
 */
wb_error *wb_wasi_config_inherit_stdio(wb_wasi_config *config);

/**
 * Makes `len` bytes at `bytes` the program's standard input. They are copied.
 */
wb_error *wb_wasi_config_stdin_bytes(wb_wasi_config *config, const void *bytes, size_t len);

/**
 * Makes an open file descriptor of this process one of the program's standard streams: a file, a pipe, a `memfd` to look at what was written.
 * The descriptor is duplicated, and stays the caller's to close; the two share one position. A program that reads from an empty pipe waits, with
 * the thread that runs it.
 *
 * Fails with WB_ERROR_INVALID_ARGUMENT if `stream` is none of the three or `fd` is negative, with WB_ERROR_OS if it is not open.
 */
wb_error *wb_wasi_config_stream(wb_wasi_config *config,
                                wb_wasi_stream stream,
                                int fd);

/**
 * Opens the directory `host` for the program, which sees it under the path `guest`. The program may read, write, make and remove what is below
 * it, as far as this process may, and cannot leave it: neither by `..` nor by a link. Both texts are only read.
 *
 * Fails with WB_ERROR_INVALID_ARGUMENT if it cannot be opened.
 */
wb_error *wb_wasi_config_preopen_dir(wb_wasi_config *config,
                                     const char *host,
                                     const char *guest);

/**
 * Defines WASI's functions in a linker (the modules `wasi_snapshot_preview1` and `wasi_unstable`), with what is in `config`, which is moved to
 * the linker: `config` gives nothing afterwards, and is still the caller's to delete. All instances made with the linker share it.
 *
 * A program is run by calling its `_start`. It ends by returning, or by exiting: then the call fails with a trap, WB_TRAP_EXITED, and
 * `wb_error_exit_status` has its status, which may be 0.
 *
 * Fails with WB_ERROR_INVALID_ARGUMENT if a variable has no proper name, or there are too many arguments or variables.
 */
wb_error *wb_linker_define_wasi(wb_linker *linker,
                                wb_wasi_config *config);

/**
 * Ends a configuration. NULL does nothing.
 */
void wb_wasi_config_delete(wb_wasi_config *config);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* Makers of values, for arguments of wb_instance_call. */

static inline wb_val wb_i32(int32_t value) {
    wb_val val;
    val.kind = WB_I32;
    val.of.i64 = 0;
    val.of.i32 = value;
    return val;
}

static inline wb_val wb_i64(int64_t value) {
    wb_val val;
    val.kind = WB_I64;
    val.of.i64 = value;
    return val;
}

static inline wb_val wb_f32(float value) {
    wb_val val;
    val.kind = WB_F32;
    val.of.i64 = 0;
    val.of.f32 = value;
    return val;
}

static inline wb_val wb_f64(double value) {
    wb_val val;
    val.kind = WB_F64;
    val.of.f64 = value;
    return val;
}

static inline wb_val wb_externref(void *value) {
    wb_val val;
    val.kind = WB_EXTERNREF;
    val.of.ref = value;
    return val;
}

#endif  /* WASMBRIDGE_H */
