//! What npm lets pass, and lockwright does not: each case beside what npm makes of it.
