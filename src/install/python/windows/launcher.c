/*
 * What Windows starts in place of a script: NAME.exe, and an environment's python.exe.
 *
 * NAME.exe has an archive with `__main__.py` behind it, which Python runs like any zip application. So it
 * starts the python.exe beside it with its own path as the script, and passes on its arguments, its standard
 * streams and the exit code. As python.exe (or pythonw.exe) it starts the Python that `home` in pyvenv.cfg
 * names, and says in __PYVENV_LAUNCHER__ for which environment, as CPython's own venv launcher does.
 *
 * Only kernel32 is used, no C runtime. `scripts/windows-launchers` compiles it.
 */
#include <windows.h>

#ifdef GUI
#define PYTHON L"pythonw.exe"
#else
#define PYTHON L"python.exe"
#endif

/* The longest path, and the longest command line, of Windows. */
#define LONGEST 32768

static WCHAR own[LONGEST], folder[LONGEST], target[LONGEST], line[LONGEST];
static char config[16384];
static STARTUPINFOW startup;
static PROCESS_INFORMATION child;
static JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;

static void fail(const char *why) {
#ifdef GUI
    FatalAppExitA(0, why);
#else
    DWORD written;
    HANDLE out = GetStdHandle(STD_ERROR_HANDLE);
    WriteFile(out, why, lstrlenA(why), &written, NULL);
    WriteFile(out, "\r\n", 2, &written, NULL);
#endif
    ExitProcess(101);
}

/* Puts `text` behind what `to` has. */
static void append(WCHAR *to, const WCHAR *text) {
    int length = lstrlenW(to);
    if (length + lstrlenW(text) >= LONGEST)
        fail("the command line is too long");
    lstrcpyW(to + length, text);
}

/* The last part of a path; what is before it goes to `folder`, with its backslash. */
static const WCHAR *split(const WCHAR *path) {
    int last = 0;
    for (int at = 0; path[at]; at++)
        if (path[at] == L'\\' || path[at] == L'/')
            last = at + 1;
    lstrcpyW(folder, path);
    folder[last] = 0;
    return path + last;
}

/* The arguments: what follows the first word of the command line. */
static const WCHAR *arguments(void) {
    const WCHAR *rest = GetCommandLineW();
    BOOL quoted = FALSE;
    for (; *rest && (quoted || (*rest != L' ' && *rest != L'\t')); rest++)
        if (*rest == L'"')
            quoted = !quoted;
    while (*rest == L' ' || *rest == L'\t')
        rest++;
    return rest;
}

/* Whether a line of pyvenv.cfg sets `home`; then where its value begins. */
static const char *home(const char *text) {
    const char *key = "home";
    while (*text == ' ' || *text == '\t')
        text++;
    for (; *key; key++, text++)
        if ((*text | 32) != *key)
            return NULL;
    while (*text == ' ' || *text == '\t')
        text++;
    if (*text++ != '=')
        return NULL;
    while (*text == ' ' || *text == '\t')
        text++;
    return text;
}

/* The folder that `home` in pyvenv.cfg names, to `target`. */
static void read_home(void) {
    DWORD length = 0;
    lstrcpyW(target, folder);
    append(target, L"..\\pyvenv.cfg");
    HANDLE file = CreateFileW(target, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE || !ReadFile(file, config, sizeof config - 1, &length, NULL))
        fail("pyvenv.cfg cannot be read: this environment is not complete");
    CloseHandle(file);
    config[length] = 0;
    for (char *at = config; *at;) {
        char *end = at;
        while (*end && *end != '\n' && *end != '\r')
            end++;
        const char *value = home(at);
        if (value) {
            int size = MultiByteToWideChar(CP_UTF8, 0, value, (int)(end - value), target, LONGEST - 1);
            if (size <= 0)
                fail("`home` in pyvenv.cfg names no folder");
            target[size] = 0;
            append(target, L"\\");
            return;
        }
        at = *end ? end + 1 : end;
    }
    fail("pyvenv.cfg has no `home`: it does not say where Python is");
}

/* Ctrl-C is for Python, which is in the same console; this program waits for it. */
static BOOL WINAPI leave_it(DWORD event) {
    return event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT;
}

void start(void) {
    DWORD code = 101;
    DWORD length = GetModuleFileNameW(NULL, own, LONGEST);
    if (length == 0 || length >= LONGEST)
        fail("this program cannot tell where it is");
    const WCHAR *name = split(own);
    BOOL is_python = lstrcmpiW(name, L"python.exe") == 0 || lstrcmpiW(name, L"pythonw.exe") == 0;
    if (is_python) {
        read_home();
        SetEnvironmentVariableW(L"__PYVENV_LAUNCHER__", own);
    } else {
        lstrcpyW(target, folder);
    }
    append(target, PYTHON);

    append(line, L"\"");
    append(line, target);
    append(line, L"\" ");
    if (!is_python) {
        append(line, L"\"");
        append(line, own);
        append(line, L"\" ");
    }
    append(line, arguments());

    /* Python ends when this program is ended. */
    HANDLE job = CreateJobObjectW(NULL, NULL);
    limits.BasicLimitInformation.LimitFlags =
        JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK;
    SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    SetConsoleCtrlHandler(leave_it, TRUE);
    GetStartupInfoW(&startup);
    if (!CreateProcessW(target, line, NULL, NULL, TRUE, CREATE_SUSPENDED, NULL, NULL, &startup, &child))
        fail("Python cannot be started: `home` in the environment's pyvenv.cfg says where it should be");
    AssignProcessToJobObject(job, child.hProcess);
    ResumeThread(child.hThread);
    CloseHandle(child.hThread);
    WaitForSingleObject(child.hProcess, INFINITE);
    GetExitCodeProcess(child.hProcess, &code);
    ExitProcess(code);
}
