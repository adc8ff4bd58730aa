typedef unsigned int u32; typedef _Bool boolean;
enum e { A = -1, B = 7 }; enum big { C = 1ULL << 40 };
struct fwd; union u { int i; float f; double d; };
struct list { struct list *next, *prev; };
struct bits { u32 a:3, b:5; int c:20; long long d:40; boolean e:1; };
struct mm { struct { union { int users; char pad[16]; }; struct list mmlist; struct bits bits; }; volatile const u32 *restrict_me; struct fwd *f; enum e e; enum big big; union u u; int (*fn)(struct mm *mm, ...); u32 matrix[3][4]; };
struct mm init_mm; int counter __attribute__((section("mine")));
static __attribute__((noinline)) int mm_init(struct mm *mm, const char *restrict name) { return mm->users + name[0]; }
int mmput(struct mm *mm, struct list after) { counter++; return mm_init(mm, "x") + (after.next != 0); }
int main(void) { struct list l = {0}; return mmput(&init_mm, l); }
