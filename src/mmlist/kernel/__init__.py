"""Reading a kernel: its release, where fields lie, and what has become of the functions that a log may have probes on.

import mmlist.kernel

kernel = mmlist.kernel.describe("/boot/vmlinuz-6.1.0-56-amd64")
print(kernel.release, kernel.fields["mm_struct.mmlist"], kernel.functions["dup_mmap"].told)
"""

from mmlist.kernel.describe import Kernel, describe

__all__ = ["Kernel", "describe"]
