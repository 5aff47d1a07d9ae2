// Hooks that the Verilator runtime calls, and the entry points that every shim has.
#include "common.h"

thread_local MfModel* mf_current = nullptr;

void vl_finish(const char* file, int line, const char*) {
    mf_fail(MF_FATAL, "%s:%d: the design called $finish", file, line);
}

void vl_stop(const char* file, int line, const char*) {
    mf_fail(MF_FATAL, "%s:%d: the design called $stop", file, line);
}

void vl_fatal(const char* file, int line, const char*, const char* message) {
    mf_fail(MF_FATAL, "%s:%d: %s", file, line, message);
}

// Runtime warnings are things like a memory file that does not exist: never what the caller wanted.
void vl_warn(const char* file, int line, const char*, const char* message) {
    if (!mf_current->pending.empty()) mf_fail(MF_FATAL, "%s", mf_current->pending.c_str());
    mf_fail(MF_FATAL, "%s:%d: %s", file, line, message);
}

// $readmemh paths are relative to the design's folder. Changing the working directory would change it
// for every thread of the process, so the linker (--wrap=fopen) sends this library's fopen calls here.
extern "C" FILE* __real_fopen(const char* path, const char* mode);
extern "C" FILE* __wrap_fopen(const char* path, const char* mode) {
    if (!mf_current || path[0] == '/' || strcmp(mode, "r") != 0) return __real_fopen(path, mode);
    FILE* file = __real_fopen((mf_current->memory_dir + "/" + path).c_str(), mode);
    // Verilator 5.006 silently drops a last word that no newline ends; other tools read it.
    if (file && fseek(file, -1, SEEK_END) == 0) {
        if (fgetc(file) != '\n') {
            fclose(file);
            // Not thrown from here: compilers take fopen for a function that never throws. The runtime
            // answers a null file with a warning.
            mf_current->pending = std::string("memory file ") + path + " does not end with a newline";
            return nullptr;
        }
        rewind(file);
    }
    return file;
}

MF_EXPORT const char* mf_error(MfModel* model) { return model->error.c_str(); }
