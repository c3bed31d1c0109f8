"""The bytes that the bench's reader runs are the bytes that are written into a board."""

from emulator import image as builder
from emulator import process
from emulator.provision import application, image


async def test_what_provision_and_deploy_write_is_what_the_benchs_reader_runs(bench, monkeypatch):
    """The folder that a reader's process is given, file for file, against what is written into a board."""
    ran = []
    build = builder.build

    def watched(*arguments, **options):
        ran.append((arguments[0], build(*arguments, **options)))
        return ran[-1][1]

    monkeypatch.setattr(process.image, "build", watched)
    reader = await bench.add_reader()
    await reader.wait_for(lambda: bool(ran), 60, "its process")
    folder = next(built for source, built in ran if source == bench.firmware)
    running = {
        f"/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert running == image.files()
    provisioned = image.with_identity(image.files(), bytes(8), bytes(32), 0, "Seven")
    assert {path: provisioned[path] for path in running} == running
    assert set(provisioned) - set(running) == {"/identity.cbor"}, "who it is, and nothing else besides"


def test_deploy_writes_each_file_of_the_image_as_it_is():
    written = {}

    class Recorder:
        """A board that keeps what it is told to write."""

        def value(self, code):
            return 4096, 1000, {"/main.py": 100}

        def put(self, path, content):
            written[path] = content

        def run(self, code):
            if "os.rename" in code:
                written["/main.py"] = written.pop("/main.py.new")

        def reset(self):
            assert written == {"/main.py": application.meanwhile()}, "before anything else is touched"

    application.deploy(Recorder(), image.files(), lambda done, total: None)
    assert written == image.files()
