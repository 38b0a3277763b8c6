import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.ports import Block, free_port

OTHER = "import sys; from tests.ports import Block; held = Block(); print(held.free_port(), flush=True); sys.stdin.read()"


def test_two_holders_never_share_a_port():
    with closing(Block()) as one, closing(Block()) as other:
        assert not {one.free_port() for _ in range(99)} & {other.free_port() for _ in range(99)}


def test_another_process_has_another_block():
    ours = {free_port() for _ in range(99)}
    with subprocess.Popen([sys.executable, "-c", OTHER], cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        other.communicate()
    assert theirs not in ours


def test_a_port_that_was_given_comes_again_only_after_all_others():
    with closing(Block()) as block:
        first = [block.free_port() for _ in range(99)]
        assert len(set(first)) == 99
        assert block.free_port() == first[0]


def test_a_port_that_somebody_bound_is_passed_over():
    with closing(Block()) as block, socket.socket() as somebody:
        taken = block.free_port()
        somebody.bind(("127.0.0.1", taken))
        assert taken not in {block.free_port() for _ in range(200)}


def test_every_port_lies_below_those_that_linux_and_macos_hand_out_by_default():
    with closing(Block()) as block:
        assert max(block.free_port() for _ in range(99)) < 32_768
