"""The reconciler: `python -m worker.reconcile`. Whatever is open and has nobody at work is enqueued again, or finished; what nobody needs goes."""
