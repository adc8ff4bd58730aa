extern void sink(void *);
static __attribute__((noipa)) void mm_init(void) { sink(0); }
int start_kernel(void) { mm_init(); sink(start_kernel); return 0; }
