"""One node per module and path; both paths run on any kernel."""
import pytest
from node_world import World


@pytest.fixture(scope="module", params=["oldest", "newest"])
def world(request):
    w = World(*(["--oldest-kernel"] if request.param == "oldest" else [])).start()
    yield w
    w.close()
