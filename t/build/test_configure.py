# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""./configure: nginx's option names, refusals by name, the list of modules, and packages without services. Packages are never
installed here: apt-get and systemctl are scripts of the test that write down how they were called."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from lib.ports import wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Tree:
    """A small tree with ./configure in it, and a folder of programs that stand before the real ones."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.bin = os.path.join(self.folder, "bin")
        self.policy = os.path.join(self.folder, "policy-rc.d")
        for name in ("bin", "modules/lua", "src/http/h2", "src/event/tls", "src/stream"):
            os.makedirs(os.path.join(self.folder, name))
        for name in ("modules/access.cc", "modules/http_gzip.cc", "modules/lua/module.cc", "modules/lua/vm.cc"):
            module = name.split("/")[1].removesuffix(".cc")
            self.write(name, "" if "vm" in name else
                       "namespace fairlead { struct Module { int id; };\n"
                       f"extern constinit const Module {module}_module = {{1}}; }}\n")
        shutil.copy(ROOT + "/configure", self.folder)

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)

    def program(self, name, text):
        self.write("bin/" + name, "#!/bin/sh\n" + text, 0o755)

    def environment(self):
        return {**os.environ, "PATH": self.bin + ":" + os.environ["PATH"], "FAIRLEAD_POLICY_RC_D": self.policy}

    def configure(self, *options, shell="/bin/dash"):
        return subprocess.run([shell, "./configure", *options], cwd=self.folder, env=self.environment(),
                              capture_output=True, text=True, timeout=60)

    def read(self, name):
        with open(os.path.join(self.folder, name)) as f:
            return f.read()

    def exists(self, name):
        return os.path.exists(os.path.join(self.folder, name))


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


DEBIAN = ("--prefix=/usr/share/x --conf-path=/etc/x/x.conf --http-log-path=/var/log/x/access.log --error-log-path=stderr "
          "--lock-path=/var/lock/x.lock --pid-path=/run/x.pid --modules-path=/usr/lib/x --http-client-body-temp-path=/var/lib/x/body "
          "--http-proxy-temp-path=/var/lib/x/proxy --http-fastcgi-temp-path=fcgi --user=www-data --group=www-data --with-compat "
          "--with-debug --with-pcre-jit --with-http_ssl_module --with-http_v2_module --with-threads --with-file-aio --with-stream "
          "--with-stream_ssl_module --without-http_gzip_module").split()


def test_the_options_of_a_distribution(tree):
    done = tree.configure(*DEBIAN, "--with-cc-opt=-g -O2 -DX='a b'")
    assert done.returncode == 0, done.stderr
    conf = tree.read("build/config.cmake")
    for line in ("set(FAIRLEAD_CONF_PATH [==[/etc/x/x.conf]==])", "set(FAIRLEAD_ERROR_LOG_PATH [==[stderr]==])",
                 "set(FAIRLEAD_FASTCGI_TEMP_PATH [==[/usr/share/x/fcgi]==])", "set(FAIRLEAD_SCGI_TEMP_PATH [==[/usr/share/x/scgi_temp]==])",
                 "set(FAIRLEAD_SBIN_PATH [==[/usr/share/x/sbin/fairlead]==])", "set(FAIRLEAD_CC_OPT [==[-g -O2 -DX='a b']==])",
                 "set(FAIRLEAD_WITHOUT [==[http_gzip]==])", "set(FAIRLEAD_GROUP [==[www-data]==])"):
        assert line in conf
    assert "modules: access lua \n" in done.stdout


def test_config_status_repeats_the_call(tree):
    tree.configure("--prefix=/a", "--with-cc-opt=-DX='a b' $HOME", "--without-debug")
    before = tree.read("build/config.cmake")
    assert "FAIRLEAD_DEBUG OFF" in before and "$HOME" in before
    shutil.rmtree(tree.folder + "/build")
    done = subprocess.run([tree.folder + "/config.status"], env=tree.environment(), capture_output=True, text=True)
    assert done.returncode == 0 and tree.read("build/config.cmake") == before


@pytest.mark.parametrize("option, reason", [
    ("--with-http_perl_module", "not in this tree"), ("--with-mail", "not in this tree"), ("--with-stream=dynamic", "loadable"),
    ("--with-openssl=/x", "from the system"), ("--add-module=x", "unknown option"), ("--prefix=x", "absolute"),
    ("--without-stream", "part of the engine"), ("--sanitize=a;b", "a list"), ("--with-http_v3_module", "not in this tree")])
def test_what_cannot_be_had_is_refused_by_name(tree, option, reason):
    done = tree.configure(option)
    assert done.returncode == 1
    assert done.stderr.startswith("configure: error: " + option) and reason in done.stderr
    assert not tree.exists("build/config.cmake")


def test_install_is_trained_unless_told_otherwise(tree):
    tree.configure()
    assert "profile := yes" in tree.read("build/config.mk")
    tree.configure("--without-profile")
    assert "profile := no" in tree.read("build/config.mk")


def test_the_module_list_is_what_is_present(tree):
    tree.configure("--without-http_gzip")
    os.makedirs(tree.folder + "/src/http/h2", exist_ok=True)
    shutil.copy(ROOT + "/modules/CMakeLists.txt", tree.folder + "/modules")
    tree.write("main.cc", '#include "module_list.h"\nint main() { return static_cast<int>(fairlead::linked_modules.size()); }\n')
    tree.write("CMakeLists.txt", "cmake_minimum_required(VERSION 3.25)\nproject(x CXX)\nset(CMAKE_CXX_STANDARD 20)\n"
               "include(build/config.cmake)\nadd_library(fairlead_http INTERFACE)\nadd_library(fairlead_stream INTERFACE)\n"
               "add_subdirectory(modules)\nadd_executable(x main.cc)\ntarget_link_libraries(x fairlead_modules)\n"
               "target_include_directories(x PRIVATE ${CMAKE_BINARY_DIR}/generated)\n")
    build = tree.folder + "/build/x"
    subprocess.run(["cmake", "-G", "Ninja", "-S", tree.folder, "-B", build], check=True, capture_output=True)
    subprocess.run(["ninja", "-C", build], check=True, capture_output=True)
    assert "{\n    &access_module,\n    &lua_module,}" in tree.read("build/x/generated/module_list.h")
    assert subprocess.run([build + "/x"]).returncode == 2


def with_luajit(tree, header):
    tree.write("luajit.h", header)
    tree.program("pkg-config", f'case $1 in --exists) exit 0 ;; esac\necho {tree.folder}\n')


def test_which_luajit_it_is(tree):
    with_luajit(tree, "#define OPENRESTY_LUAJIT\n")
    assert "stock LuaJIT" not in tree.configure().stdout
    with_luajit(tree, "")
    assert "stock LuaJIT, not OpenResty's branch" in tree.configure().stdout
    assert "stock LuaJIT" not in tree.configure("--without-lua").stdout


def test_lua_without_luajit_is_refused_by_name(tree):
    tree.program("pkg-config", "exit 1\n")
    done = tree.configure()
    assert done.returncode == 1 and "LuaJIT is missing: ./configure --deps installs it, --without-lua leaves Lua out" in done.stderr
    assert tree.configure("--without-lua").returncode == 0


def test_the_sources_need_nothing_that_stock_luajit_lacks():
    """What lua.h of OpenResty's branch declares beyond the stock one's: a build with that would fail."""
    of_the_branch = re.compile(r"\b(lua_getexdata2?|lua_setexdata2?|lua_resetthread)\b")
    for path in pathlib.Path(ROOT, "modules/lua").glob("*.[ch]*"):
        assert not of_the_branch.search(path.read_text(encoding="utf-8")), path


def test_stock_luajit_is_kept(tree):
    with_packages(tree, dpkg='case "$*" in *libluajit-5.1-dev*) printf "install ok installed" ;; *) exit 1 ;; esac\n')
    assert tree.configure("--deps").returncode == 0
    calls = tree.read("bin/apt-get.calls")
    assert "g++ cmake" in calls and "luajit" not in calls


def test_stock_luajit_where_there_is_no_other(tree):
    with_packages(tree)
    tree.program("apt-cache", "exit 100\n")
    assert tree.configure("--deps").returncode == 0
    assert " libluajit-5.1-dev " in tree.read("bin/apt-get.calls") and "luajit2" not in tree.read("bin/apt-get.calls")


NOTHING_INSTALLED = "exit 1\n"
APT = 'echo "$@" >>"$0.calls"; cp "$FAIRLEAD_POLICY_RC_D" "$0.policy"\ncase "$*" in *install*) echo nginx >"$0.enabled" ;; esac\n'
SYSTEMCTL = ('apt=$(dirname "$0")/apt-get.enabled\ncase $1 in\n'
             'is-enabled) for last in "$@"; do :; done; [ "$last" = redis-server ] || grep -qsx "$last" "$apt" ;;\n'
             '*) echo "$@" >>"$0.calls" ;;\nesac\n')


def with_packages(tree, apt=APT, dpkg=NOTHING_INSTALLED):
    tree.program("dpkg-query", dpkg)
    tree.program("apt-get", apt)
    tree.program("apt-cache", "exit 0\n")
    tree.program("systemctl", SYSTEMCTL)
    tree.program("id", "echo 0\n")


def test_packages_come_without_services(tree):
    with_packages(tree)
    tree.write("policy-rc.d", "before\n")
    done = tree.configure("--deps")
    assert done.returncode == 0, done.stderr
    assert "install -q -y --no-install-recommends g++ cmake" in tree.read("bin/apt-get.calls")
    assert "exit 101" in tree.read("bin/apt-get.policy")
    assert tree.read("policy-rc.d") == "before\n" and not tree.exists("policy-rc.d.before-fairlead")
    # redis-server was enabled before and stays so; nginx was not.
    assert tree.read("bin/systemctl.calls") == "disable --quiet nginx\n"


def test_nothing_is_done_when_all_is_there(tree):
    with_packages(tree, dpkg='printf "install ok installed"\n')
    assert tree.configure("--deps").returncode == 0
    assert not tree.exists("bin/apt-get.calls") and not tree.exists("policy-rc.d")


def test_a_failed_installation_restores(tree):
    with_packages(tree, apt=APT + "exit 100\n")
    done = tree.configure("--deps")
    assert done.returncode == 100 and not tree.exists("policy-rc.d") and not tree.exists("build/config.cmake")


# dash loses the SIGINT that comes before it runs on behind its vfork: the program that is interrupted says itself that it runs, and the
# shell has to be seen asleep.
INSTALLS_FOR_LONG = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"


def is_asleep(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(")")[2].split()[0] == "S"


def test_an_interrupted_installation_restores(tree):
    with_packages(tree, apt=APT + f"case $1 in install) exec /usr/bin/python3 -c '{INSTALLS_FOR_LONG}' \"$0.installs\" ;; esac\n")
    tree.write("policy-rc.d", "before\n")
    process = subprocess.Popen(["/bin/dash", "./configure", "--deps"], cwd=tree.folder, env=tree.environment(), start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: tree.exists("bin/apt-get.installs") and is_asleep(process.pid), 30, "the installation")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(55) == 130
    assert tree.read("policy-rc.d") == "before\n" and not tree.exists("policy-rc.d.before-fairlead")
    assert tree.read("bin/systemctl.calls") == "disable --quiet nginx\n"


def test_the_leftover_of_a_killed_run_is_not_taken_for_the_original(tree):
    with_packages(tree)
    tree.write("policy-rc.d", "# fairlead configure --deps: no service starts while packages are installed\n")
    tree.write("policy-rc.d.before-fairlead", "before\n")
    assert tree.configure("--deps").returncode == 0
    assert tree.read("policy-rc.d") == "before\n"
