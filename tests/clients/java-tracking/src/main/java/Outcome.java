import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/** What an SDK has told of each message. */
final class Outcome {
    private final CountDownLatch untold;
    private final List<String> errors = new ArrayList<>();

    Outcome(int messages) {
        untold = new CountDownLatch(messages);
    }

    void succeeded() {
        untold.countDown();
    }

    synchronized void failed(Throwable error) {
        errors.add(String.valueOf(error.getMessage()));
        untold.countDown();
    }

    /** Waits until all are told; returns the errors. */
    List<String> errors() throws InterruptedException {
        untold.await();
        return errors;
    }
}
