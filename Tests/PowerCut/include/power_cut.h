// Nothing is called from Swift: the library is preloaded into a program under test.
