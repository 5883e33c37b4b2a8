# What other-writer.ts does, in the orchestrator's own language: sqlite3.connect(timeout=2), its implicit transactions, its commits.
import sqlite3
import sys
import threading
import time

database = sqlite3.connect(sys.argv[1], timeout=2)
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
written = 0
while not stop.is_set():
    database.execute("SELECT count(*) FROM project_queue WHERE status = 'queued'").fetchone()
    database.execute("UPDATE project_queue SET priority = priority + 1 WHERE id = 1")
    database.execute("INSERT INTO project_queue (spec_path, status) VALUES (?, 'queued')", (f"/other/{written}.md",))
    database.commit()
    written += 1
    if written == 1:
        print("writing", flush=True)
    time.sleep(0.001)
database.close()
print(written)
