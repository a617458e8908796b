/* cascade.pml: foreign keys that change rows without firing their triggers, as MariaDB's and MySQL's do, and helper triggers that note
 * these rows (rule C12). What each name stands for in the program is in docs/model.md.
 *
 * One parent, two children and a grandchild of the first child. A child is there or not, and refers to the parent or to nobody; deleting the
 * parent deletes the first child, which deletes the grandchild, and sets the second child's reference to NULL. The server's rules about
 * locks are kept: who writes a row locks it to the end of the transaction, who refers to a row locks that one against changes,
 * a cascade waits for both and sees what is committed then. The helper is a trigger before the parent's delete, in the same
 * transaction: it leaves a mark, reads the rows that refer to the parent, down to the last, with shared locks, and notes their
 * keys. A row that is put below behind its back is noted by whoever did that; what is read while a mark's transaction is
 * open is read once more when that has ended.
 *
 * Each of the three tables is replayed by a lane of its own, which takes any of its entries. The property: when the record is empty
 * and nobody writes, target and source are equal.
 *
 *   NO_HELPER       only what fires a trigger is noted                                                     C12
 *   ONE_LEVEL       the helper notes the children and not the grandchildren                                C12
 *   OLD_SNAPSHOT    the helper reads without locks, in the snapshot that its transaction began with (REPEATABLE READ)   C12
 *   NO_MARKS        what is read while a helper's transaction is open is not read once more                C12
 *   NEW_SNAPSHOT    the helper reads without locks, in a snapshot of its own (READ COMMITTED): with marks this holds
 *   OWN_COMMIT      the helper's entries are committed at once and not with the change: likewise
 *   AFTER_PARENT    the helper reads after the parent and what refers to it are gone                       C12
 */
#ifndef TXNS
#define TXNS 2
#endif
#define ROWS 4
#define PARENT 0
#define FIRST 1          /* ON DELETE CASCADE of the parent */
#define SECOND 2         /* ON DELETE SET NULL */
#define GRAND 3          /* ON DELETE CASCADE of the first child */
#define ENTRIES (4*TXNS)
#define BIT(i) (1<<(i))
#define GONE 0
#define ALONE 1          /* there, refers to nobody */
#define REFERS 2         /* there, refers to the parent, or the grandchild to the first child */

byte src[ROWS], tgt[ROWS], dirty[ROWS], writer[ROWS];     /* writer: 0 nobody, else the user plus one */
byte shared[ROWS];                                         /* users that hold a shared lock, as bits */
byte entryKey[ENTRIES], entryOf[ENTRIES]; int seen; byte entries, txns; bool busy[2], shut;
byte marked, waits[ENTRIES], hold[3]; bool waited[ENTRIES];      /* marked: users whose helper has left a mark; hold: of a lane's batch */

#define each(v,n,body) v=0; do :: v<n -> body; v++ :: else -> break od; v=0
#define mine(k) (writer[k]==u+1)
#define now(k) (mine(k) -> dirty[k] : src[k])
#define mayWrite(k) ((writer[k]==0 || mine(k)) && (shared[k] & (255-BIT(u)))==0)
#define mayShare(k) (writer[k]==0 || mine(k))
#define share(k) shared[k]=shared[k]|BIT(u)
inline ended() { marked=marked & (255-BIT(u)); each(i,ENTRIES, waits[i]=waits[i] & (255-BIT(u))); each(i,3, hold[i]=hold[i] & (255-BIT(u))) }
inline lock(k) { if :: writer[k]==0 -> writer[k]=u+1; dirty[k]=src[k] :: else fi }
inline note(k) { entryKey[entries]=k; entryOf[entries]=u+1; entries++ }
#ifdef OWN_COMMIT
inline help(k) { entryKey[entries]=k; seen=seen|BIT(entries); entries++ }
#else
inline help(k) { note(k) }
#endif

/* A step that waits for a row, and what it does then. Who waits may be taken back: a deadlock, or the wait was too long. */
#define BEHIND(may,k,body) if :: atomic { may(k) -> body } :: atomic { !may(k) -> goto rollback } fi

/* A step of the helper for one row: with a lock it waits for the row and reads what is committed then. */
#ifdef OLD_SNAPSHOT
#define HELP(k) atomic { if :: snapshot & BIT(k) -> help(k) :: else fi }
#else
#ifdef NEW_SNAPSHOT
#define HELP(k) atomic { if :: now(k)==REFERS -> help(k) :: else fi }
#else
#define HELP(k) BEHIND(mayShare,k, if :: now(k)==REFERS -> share(k); help(k) :: else fi)
#endif
#endif
#ifdef NO_HELPER
#define HELPER skip
#else
#define MARK marked=marked|BIT(u)
#ifdef ONE_LEVEL
#define HELPER MARK; HELP(FIRST); HELP(SECOND)
#else
#define HELPER MARK; HELP(FIRST); HELP(SECOND); HELP(GRAND)
#endif
#endif

/* A write of one row by a statement of its own, which fires its trigger. */
#define WRITE(k,v) lock(k); dirty[k]=v; note(k); printf("user %d: row %d := %d\n",u,k,v)
proctype User(byte u) {
  byte k, i; byte snapshot;
  do
  :: atomic { !shut && txns<TXNS -> txns++; busy[u]=true;
       each(k,ROWS, if :: src[k]==REFERS -> snapshot=snapshot|BIT(k) :: else fi); printf("user %d: begins\n",u) };
     if
     :: atomic { mayWrite(PARENT) && now(PARENT)!=GONE -> lock(PARENT); printf("user %d: deletes the parent\n",u) };
#ifndef AFTER_PARENT
        HELPER;
#endif
        /* the cascade: each row as it is when its turn comes, behind its lock */
        BEHIND(mayWrite,FIRST, if :: now(FIRST)==REFERS -> lock(FIRST) :: else fi);
        BEHIND(mayWrite,GRAND, if :: mine(FIRST) && dirty[FIRST]==REFERS && now(GRAND)==REFERS -> lock(GRAND); dirty[GRAND]=GONE; printf("user %d: cascade to the grandchild\n",u) :: else fi);
        atomic { if :: mine(FIRST) && dirty[FIRST]==REFERS -> dirty[FIRST]=GONE; printf("user %d: cascade to the first child\n",u) :: else fi };
        BEHIND(mayWrite,SECOND, if :: now(SECOND)==REFERS -> lock(SECOND); dirty[SECOND]=ALONE; printf("user %d: set null in the second child\n",u) :: else fi);
#ifdef AFTER_PARENT
        HELPER;
#endif
        atomic { dirty[PARENT]=GONE; note(PARENT) }
     :: atomic { mayWrite(PARENT) && now(PARENT)==GONE -> WRITE(PARENT,ALONE) }
     :: atomic { mayWrite(FIRST) && now(FIRST)!=REFERS && mayShare(PARENT) && now(PARENT)!=GONE -> share(PARENT); WRITE(FIRST,REFERS) }
     :: atomic { mayWrite(SECOND) && now(SECOND)!=REFERS && mayShare(PARENT) && now(PARENT)!=GONE -> share(PARENT); WRITE(SECOND,REFERS) }
     :: atomic { mayWrite(GRAND) && now(GRAND)!=REFERS && mayShare(FIRST) && now(FIRST)!=GONE -> share(FIRST); WRITE(GRAND,REFERS) }
     :: atomic { mayWrite(SECOND) && now(SECOND)==REFERS -> WRITE(SECOND,GONE) }
     :: atomic { mayWrite(GRAND) && now(GRAND)==REFERS -> WRITE(GRAND,ALONE) }
     :: skip
     fi;
     if
     :: atomic { each(k,ROWS, if :: mine(k) -> src[k]=dirty[k]; dirty[k]=0; writer[k]=0 :: else fi; shared[k]=shared[k] & (255-BIT(u)));
       each(i,ENTRIES, if :: entryOf[i]==u+1 -> seen=seen|BIT(i); entryOf[i]=0 :: else fi);
       ended(); busy[u]=false; snapshot=0; printf("user %d: commits, source %d %d %d %d\n",u,src[0],src[1],src[2],src[3]) }
     :: skip ->
rollback: atomic { each(k,ROWS, if :: mine(k) -> dirty[k]=0; writer[k]=0 :: else fi; shared[k]=shared[k] & (255-BIT(u)));
       each(i,ENTRIES, if :: entryOf[i]==u+1 -> entryKey[i]=0; entryOf[i]=0 :: else fi);
       ended(); busy[u]=false; snapshot=0; printf("user %d: is taken back\n",u) }
     fi
  :: shut -> break
  od
}

#define tableOf(k) (k==GRAND -> 2 : (k==PARENT -> 0 : 1))
#define T(i) ((seen & BIT(i)) && tableOf(entryKey[i])==table && waits[i]==0)
#if TXNS>2
#define MORE (T(8)||T(9)||T(10)||T(11))
#else
#define MORE false
#endif
#define ANY (T(0)||T(1)||T(2)||T(3)||T(4)||T(5)||T(6)||T(7)||MORE)
proctype Lane(byte table) {
  byte batch, key, image, i; bool again;
end: do
  :: atomic { ANY -> i=0;                                   /* one entry: any of those that are seen */
       do :: T(i) -> break
          :: i<ENTRIES-1 -> i++
          :: i==ENTRIES-1 && !T(i) -> break
       od;
       if :: !T(i) -> i=0; goto end :: else fi;
       batch=i; key=entryKey[i]; image=src[key]; i=0;
#ifndef NO_MARKS
       again=(marked!=0 && !waited[batch]); hold[table]=(again -> marked : 0);
#endif
       printf("lane %d: replay.taken row %d is %d\n",table,key,image) };
     atomic { tgt[key]=image; printf("lane %d: replay.apply row %d := %d\n",table,key,image) };
     atomic {
#ifndef NO_MARKS
       if :: again -> waited[batch]=true; waits[batch]=hold[table]; printf("lane %d: row %d is read once more\n",table,key) :: else ->
#endif
          seen=seen-BIT(batch); entryKey[batch]=0; waited[batch]=false
#ifndef NO_MARKS
       fi; again=false; hold[table]=0
#endif
       ; batch=0; key=0; image=0 }
  od
}

proctype Procedure() {
  atomic { shut=true; printf("shut-source\n") };
  atomic { !busy[0] && !busy[1] && seen==0 -> printf("drain: source %d %d %d %d target %d %d %d %d\n",src[0],src[1],src[2],src[3],tgt[0],tgt[1],tgt[2],tgt[3]);
    assert(src[0]==tgt[0] && src[1]==tgt[1] && src[2]==tgt[2] && src[3]==tgt[3]) }
}

init { atomic {
  src[PARENT]=ALONE; src[FIRST]=REFERS;
  if :: src[SECOND]=REFERS :: src[SECOND]=GONE fi;
  if :: src[GRAND]=REFERS :: src[GRAND]=ALONE fi;
  tgt[PARENT]=src[PARENT]; tgt[FIRST]=src[FIRST]; tgt[SECOND]=src[SECOND]; tgt[GRAND]=src[GRAND];
  run User(0); run User(1); run Lane(0); run Lane(1); run Lane(2); run Procedure() } }
