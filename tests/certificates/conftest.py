import json
from functools import cache

import pytest

from symgru.certificates import judges
from symgru.proof import all_theorems
from symgru.testing.planted_certificates import complaint_about, example


@pytest.fixture(scope="session")
def by():
    """Both judges. Z3 comes with the extra `test`: that it is missing is a failure, and no reason to skip."""
    return judges(["sympy", "z3"])


@pytest.fixture(scope="session")
def known():
    return {name: cache(prove) for name, prove in all_theorems()}


@pytest.fixture
def certificate():
    """Makes the certificate of some claims, as data that a test may edit."""
    return lambda *names: json.loads(example(*names))


@pytest.fixture
def complaint(by, known):
    """What verification says of data; None if it is verified."""
    return lambda data: complaint_about(json.dumps(data), by, known)
