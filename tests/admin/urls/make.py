"""Values for the property tests of addresses."""

from hypothesis import strategies as st

from fastapi_lens.admin.urls.period import Period, WindowChoice

MOMENTS = st.integers(-100, 5_000_000_000)

periods = st.builds(
    Period,
    st.sampled_from(WindowChoice),
    st.none() | st.tuples(MOMENTS, MOMENTS),
    st.just(("", "")) | st.tuples(st.text(max_size=60), st.text(max_size=60)),
)
