import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/** What an SDK has told of each message; {@code await} waits until it has told of all. */
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

    void await() throws InterruptedException {
        untold.await();
    }

    List<String> errors() {
        return errors;
    }
}
