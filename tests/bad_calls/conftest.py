import pytest
from bad_calls import Models, assert_equal, numbers_of


@pytest.fixture(scope="module")
def all_models():
    """The models of a file's rows; checks at the end that their compiled programs still work."""
    models = Models()
    yield models
    for name in models:
        _, numbers = models.before[name]
        assert_equal(numbers_of(models.each(name)), numbers)


@pytest.fixture
def models(all_models):
    all_models.used = set()
    return all_models
