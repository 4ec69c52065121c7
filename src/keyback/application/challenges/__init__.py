"""The one engine that recovery, sign-in and enrolment share: a challenge is issued, counted, verified and consumed."""
