struct list { struct list *next, *prev; };
struct own { struct list l; int only_here : 7; unsigned int more : 9; };
struct own own; __attribute__((noinline)) int use(struct own *o) { return o->only_here; } int main(void) { return use(&own); }
