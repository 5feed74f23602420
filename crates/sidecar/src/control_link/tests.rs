//! What is followed, played against the real protocol of the other side, without IO.
