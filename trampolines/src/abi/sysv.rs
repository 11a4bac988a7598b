//! System V on x86-64.
