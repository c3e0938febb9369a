"""What a host is like, before and after: files, mounts, units, settings of the kernel. For comparing, not for reading."""

SCRIPT = r"""
cd /
find etc srv opt root home boot usr/bin usr/lib/systemd usr/lib/modprobe.d usr/local var/lib -xdev \
    ! -path 'var/lib/systemd*' ! -path 'var/lib/agavectl*' -printf 'file /%p %y %m %U:%G %l\n' | sort
find etc -xdev -type f -exec sha256sum {} + | sort | sed 's/^/sum /'
findmnt -rno TARGET,SOURCE,FSTYPE,PROPAGATION | grep -vE '^/run/|binfmt_misc' | sort | sed 's/^/mount /'
systemctl list-unit-files --no-legend --no-pager | awk '{print "unit", $1, $2}' | sort
sysctl -a -r '^(net\.core\.|vm\.|fs\.(nr_open|file-max))' 2>/dev/null | grep -vE 'drop_caches|_kbytes' | sort | sed 's/^/value /'
"""


def take(machine):
    return set(machine.ok(SCRIPT).splitlines())


def changes(before, after):
    """Lines that went and lines that came, for people."""
    return sorted([f"- {line}" for line in before - after] + [f"+ {line}" for line in after - before],
                  key=lambda line: line[2:])
