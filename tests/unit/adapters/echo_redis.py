"""A Redis that only echoes, and misbehaves on command."""

from tests.unit.adapters.scripted_redis import ScriptedRedis


class Echo(ScriptedRedis):
    """Answers ECHO; `cuts`: so often it cuts the connection instead. It says nothing while it is `silent`, and keeps what it would have said."""

    silent = False
    cuts = 0

    def _answer(self, command, writer):
        if command[0] != b"ECHO":
            super()._answer(command, writer)
            return
        self.commands.append(command)
        if self.cuts:
            self.cuts -= 1
            writer.transport.abort()
        elif not self.silent:
            text = command[1]
            writer.write(b"-%s\r\n" % text if text.startswith((b"ERR", b"OOM")) else b"$%d\r\n%s\r\n" % (len(text), text))

    @property
    def asked(self):
        return [command[1] for command in self.commands if command[0] == b"ECHO"]

    @property
    def connections(self):
        return len(self._writers)
