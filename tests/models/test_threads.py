"""Small matrices are multiplied on one BLAS thread, and the caller's number of threads is given back."""

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from aih_outcomes.models.threads import on_one_thread


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_one_thread_inside_and_as_many_as_before_after_it():
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        assert set(on_one_thread(blas_threads)()) == {1}
        assert blas_threads() == before


def test_an_error_inside_gives_the_threads_back_too():
    def fail():
        raise ZeroDivisionError

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        try:
            on_one_thread(fail)()
        except ZeroDivisionError:
            assert blas_threads() == before
