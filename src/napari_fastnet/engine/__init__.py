"""The work itself: joins io, nn and core; no Qt."""
