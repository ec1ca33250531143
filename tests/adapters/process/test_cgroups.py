from clary.adapters.process.cgroups import ControlGroup, find


def test_version_1_limits(tmp_path):
    group = ControlGroup(tmp_path, ("memory",), 1)
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "memory.memsw.limit_in_bytes").touch()
    made = group.make("job", 1000)
    assert (made / "memory.limit_in_bytes").read_text() == "1000"
    assert (made / "memory.memsw.limit_in_bytes").read_text() == "1000"
    assert not (made / "pids.max").exists()


def test_version_2_limits(tmp_path):
    made = ControlGroup(tmp_path, ("memory", "pids"), 2).make("job", 1000)
    assert (made / "memory.max").read_text() == "1000"
    assert not (made / "memory.swap.max").exists()
    assert int((made / "pids.max").read_text()) > 0


def test_none_where_nothing_is_mounted_or_writable(tmp_path):
    assert find("", "") == ()
    assert find("none /proc proc rw 0 0\n", "0::/\n") == ()
    mounts = f"cgroup2 {tmp_path} cgroup2 rw 0 0\n"
    assert find(mounts, "0::/some/where\n") == ()
    assert list(tmp_path.iterdir()) == []
