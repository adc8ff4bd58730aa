/* A kernel in small: exec_mmap is inlined into begin_new_exec, mm_init is there twice, and there is no BTF. */
#define apart __attribute__((noipa))
struct list_head { struct list_head *next, *prev; };
typedef struct { int counter; } atomic_t;
struct mm_struct { struct { atomic_t mm_count; long pad[3]; atomic_t mm_users; struct list_head mmlist; }; };
struct mm_struct init_mm;
extern void sink(void *);
extern int source(void);
apart void mmput(struct mm_struct *mm) { if (!--mm->mm_users.counter) sink(mm); }
static inline __attribute__((always_inline)) void exec_mmap(struct mm_struct *mm) { mm->mm_users.counter++; sink(mm); mm->mmlist.next = &mm->mmlist; }
apart int begin_new_exec(struct mm_struct *other, int n) { struct mm_struct *mm = source() ? other : &init_mm; sink(other); exec_mmap(mm); if (n) mmput(other); return n; }
static apart int mm_init(struct mm_struct *mm) { mm->mm_count.counter = 1; sink(mm); return 1; }
apart int copy_process(struct mm_struct *mm) { return mm_init(mm) + mm_init(&init_mm); }
int _start(void) { return copy_process(&init_mm) + begin_new_exec(&init_mm, 1); }
apart void sink(void *p) { asm volatile("" : : "r"(p) : "memory"); }
apart int source(void) { int x = 0; asm volatile("" : "+r"(x)); return x; }
